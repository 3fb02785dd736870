// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "command.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/text.hpp"
#include "hub_report.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string source;
  std::string cache;
  std::string output;
  bool json = false;
  hub::PullOptions pull;
};

int run(Options& options) {
  HubWatcher watcher("pulling");
  options.pull.watcher = watcher.watcher();
  options.pull.cache = options.cache;
  options.pull.output = options.output;
  const auto pulled = hub::pull(options.source, options.pull);
  watcher.clear();
  if (!pulled) return hub_failure(pulled.error(), options.json);
  if (options.json) {
    print_json(Json::Object{{"version", 1},
                            {"repo", pulled->repo},
                            {"revision", pulled->revision},
                            {"commit", pulled->commit},
                            {"path", pulled->path.string()},
                            {"files", Json::Array(pulled->files.begin(), pulled->files.end())}});
  } else {
    print(Stream::kOut, printable(pulled->path.string()) + ": " +
                            counted(pulled->files.size(), "file") + watcher.total() + "\n");
  }
  return kGood;
}

}  // namespace

Action add_pull(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command
      .add_option("REPO_ID", options->source,
                  "namespace/name on the Hub, s3://bucket/prefix, or https:// of a folder")
      ->required()
      ->type_name("");
  command.add_option("FILES", options->pull.files, "Only these files [all]")->type_name("");
  command.add_option("--revision", options->pull.revision, "Branch, tag or commit [main]")
      ->type_name("R");
  auto* cache = command.add_option("--cache-dir", options->cache, "The cache [HF_HUB_CACHE]")
                    ->type_name("DIR");
  command.add_option("-o,--output", options->output, "Put the files here, together or not at all")
      ->type_name("DIR")
      ->excludes(cache);
  command.add_flag("--offline", options->pull.offline, "From the cache alone: no request");
  command.add_flag("--json", options->json, "Print one JSON document");
  command.footer(R"(Examples:
  ferrule pull me/my-adapter
  ferrule pull me/my-adapter --revision v1 -o my-adapter
  ferrule pull me/my-adapter adapter_config.json --json

Every file is checked against the hash that the Hub lists for it, cached ones too.
Exit status: 0 done, 1 damaged or hostile content, 2 usage, 3 network or refused.)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
