// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "exit_code.hpp"
#include "ferrule/hub.hpp"
#include "print/hub_report.hpp"
#include "print/json.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string destination;
  bool make_private = false;
  bool allow_public = false;
  bool json = false;
  hub::PushOptions push;
};

int run(Options& options) {
  if (options.make_private) {
    options.push.privacy =
        options.allow_public ? hub::Privacy::kPrivateIfNew : hub::Privacy::kPrivate;
  }
  HubWatcher watcher("pushing");
  options.push.watcher = watcher.watcher();
  const auto pushed = hub::push(options.adapter, options.destination, options.push);
  watcher.clear();
  if (!pushed) return hub_failure(pushed.error(), options.json);
  if (options.json) {
    print_document(to_json(*pushed));
  } else {
    print_push(*pushed, watcher);
  }
  return kGood;
}

}  // namespace

void add_push(Arguments& command) {
  auto options = std::make_shared<Options>();
  auto& push = options->push;
  command
      .positional("ADAPTER", options->adapter,
                  "Directory of an adapter; it is verified before anything is sent")
      .required();
  command
      .positional("REPO_ID", options->destination,
                  "namespace/name on the Hub, or s3://bucket/prefix")
      .required();
  command.option("--revision", push.revision, "BRANCH",
                 "The branch, created if it does not exist (default: main)");
  command.flag("--private", options->make_private,
               "Create a private repository; a public one that exists is refused");
  command.flag("--allow-public", options->allow_public,
               "With --private: continue if the repository exists and is public");
  command.option(
      "--include", push.include, "GLOB",
      "Send files that match too (* and ?); a hidden file only if the pattern writes out "
      "its dot");
  command.option("--exclude", push.exclude, "GLOB", "Do not send files that match");
  command.flag("--all", push.all,
               "Send everything in the directory except hidden and temporary files: training state "
               "too");
  command.flag("--dry-run", push.dry_run,
               "List what would be sent and what stays behind; make no request");
  command.flag("--create-pr", push.create_pr, "Open a pull request");
  command.option("--commit-message", push.commit_message, "TEXT", "First line of the commit");
  command.option("--commit-description", push.commit_description, "TEXT", "The rest of it");
  add_json(command, options->json);
  command.about(
      R"(Sends the adapters in ADAPTER and below it, their cards, tokenizers and other small
configuration. Hidden files (.env) and training state (optimizer.pt, rng_state.pth,
training_args.bin) stay behind; what stays behind is listed. A new repository is public unless
--private is given or the namespace's default is private.
The token comes from HF_TOKEN or 'hf auth login'. Files that the Hub already has are not
sent again; if nothing changed, no commit is made.
Exit status: 0 done, 1 bad adapter, 2 usage, 3 the network or the server refused.

Examples:
  ferrule push my-adapter me/my-adapter --dry-run
  ferrule push my-adapter me/my-adapter --private
  ferrule push my-adapter me/my-adapter --create-pr --commit-message "Train longer"
  ferrule push my-adapter s3://models/my-adapter)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
