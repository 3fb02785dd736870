// SPDX-License-Identifier: Apache-2.0
#include "ferrule/assemble.hpp"

#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/rescue_json.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/rescue_report.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string output;
  std::string config;
  AssembleOptions assemble;
  bool json = false;
};

int run(const Options& options) {
  auto settings = options.assemble;
  settings.config = options.config;
  Working working("assembling " + printable(options.output));
  const auto report = assemble(options.directory, options.output, settings);
  working.stop();
  if (!report) return fail(report.error(), options.json);
  if (options.json) {
    print_document(to_json(*report, options.output));
  } else {
    print_report(*report, "assembled", options.output);
  }
  return kGood;
}

}  // namespace

void add_assemble(Arguments& command) {
  auto options = std::make_shared<Options>();
  command
      .positional("DIR", options->directory, "The folder with the shards, or with step-N folders")
      .required();
  command.option("-o,--output", options->output, "DIR", "Directory of the adapter").required();
  command.option("--config", options->config, "FILE",
                 "The adapter_config.json (default: the one next to the shards)");
  command.option("--adapter", options->assemble.adapter, "NAME",
                 "The adapter's name in the shards, if they have several");
  add_durability(command, options->assemble.durability);
  add_json(command, options->json);
  command.about(
      R"(Puts an adapter together out of shards that ranks wrote on their own: those of
ferrule.save_shard, and of torch's DCP with Hugging Face storage. All shards of one run,
step and world size must be there, undamaged, and cover each tensor exactly once;
otherwise nothing is written.

Example:
  ferrule assemble shards/step-00000500 -o my-adapter)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
