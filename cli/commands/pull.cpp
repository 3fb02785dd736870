// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "exit_code.hpp"
#include "ferrule/hub.hpp"
#include "ferrule/text.hpp"
#include "print/hub_report.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

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
    print_document({{"repo", pulled->repo},
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

void add_pull(Arguments& command) {
  auto options = std::make_shared<Options>();
  command
      .positional(
          "REPO_ID", options->source,
          "namespace/name on the Hub (or hf://namespace/name[@revision]), s3://bucket/prefix, or "
          "the https:// URL of a folder")
      .required();
  command.positional("FILENAME", options->pull.files, "Only these files (default: all)");
  command.option("--revision", options->pull.revision, "REVISION",
                 "Branch, tag or commit (default: main)");
  command.option("--cache-dir", options->cache, "DIR", "The cache (default: HF_HUB_CACHE)");
  command
      .option("-o,--output", options->output, "DIR",
              "Put the files into this directory, all of them or none")
      .excludes("--cache-dir");
  command.flag("--offline", options->pull.offline, "Use only the cache, without any request");
  add_json(command, options->json);
  command.about(
      R"(Every file is checked against the hash that the Hub lists for it, cached files too.
Exit status: 0 done, 1 damaged or hostile content, 2 usage, 3 the network or the server
refused.

Examples:
  ferrule pull me/my-adapter
  ferrule pull me/my-adapter --revision v1 -o my-adapter
  ferrule pull me/my-adapter adapter_config.json --json)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
