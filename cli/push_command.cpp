// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "command.hpp"
#include "ferrule/hub.hpp"
#include "hub_report.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string destination;
  bool json = false;
  hub::PushOptions push;
};

int run(Options& options) {
  HubWatcher watcher("pushing");
  options.push.watcher = watcher.watcher();
  const auto pushed = hub::push(options.directory, options.destination, options.push);
  watcher.clear();
  if (!pushed) return hub_failure(pushed.error(), options.json);
  if (options.json) {
    auto document = to_json(*pushed);
    Json out(Json::Object{{"version", 1}});
    for (auto& [key, value] : *document.if_object()) out.set(key, std::move(value));
    print_json(out);
  } else {
    print_push(*pushed, watcher);
  }
  return kGood;
}

}  // namespace

Action add_push(CLI::App& command) {
  auto options = std::make_shared<Options>();
  auto& push = options->push;
  command.add_option("DIR", options->directory, "An adapter, verified before anything is sent")
      ->required()
      ->type_name("");
  command
      .add_option("REPO_ID", options->destination,
                  "namespace/name on the Hub, or s3://bucket/prefix")
      ->required()
      ->type_name("");
  command.add_option("--revision", push.revision, "Branch, made where it is missing [main]")
      ->type_name("R");
  command.add_flag("--private", push.make_private,
                   "A new repository is private; a public one is refused");
  command.add_flag("--allow-public", push.allow_public,
                   "With --private: go on where the repository exists and is public");
  command.add_flag("--create-pr", push.create_pr, "Open a pull request");
  command.add_option("--commit-message", push.commit_message, "First line of the commit")
      ->type_name("M");
  command.add_option("--commit-description", push.commit_description, "The rest of it")
      ->type_name("D");
  command.add_flag("--json", options->json, "Print one JSON document");
  command.footer(R"(Examples:
  ferrule push my-adapter me/my-adapter --private
  ferrule push my-adapter me/my-adapter --create-pr --commit-message "Train longer"
  ferrule push my-adapter s3://models/my-adapter

The token comes from HF_TOKEN or `hf auth login`. What the Hub has already is not
sent again, and makes no commit.
Exit status: 0 done, 1 bad adapter, 2 usage, 3 network or refused.)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
