// SPDX-License-Identifier: Apache-2.0
#include "ferrule/rescue.hpp"

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
  std::string checkpoint;
  std::string output;
  std::string config;
  RescueOptions rescue;
  bool json = false;
};

int run(const Options& options) {
  auto settings = options.rescue;
  settings.config = options.config;
  Working working("rescuing to " + printable(options.output));
  const auto report = rescue(options.checkpoint, options.output, settings);
  working.stop();
  if (!report) return fail(report.error(), options.json);
  if (options.json) {
    print_document(to_json(*report, options.output));
  } else {
    print_report(*report, "rescued", options.output);
  }
  return kGood;
}

}  // namespace

void add_rescue(Arguments& command) {
  auto options = std::make_shared<Options>();
  command
      .positional("CHECKPOINT", options->checkpoint,
                  "A step's folder or file, or the folder of a run")
      .required();
  command.option("-o,--output", options->output, "DIR", "Directory of the adapter").required();
  command.option("--config", options->config, "FILE",
                 "The adapter_config.json (default: the one that the checkpoint holds)");
  command.option("--adapter", options->rescue.adapter, "NAME",
                 "The adapter's name in the checkpoint, if it has several");
  command.choice<PreferredWeights>(
      "--prefer", options->rescue.prefer,
      {{"master", PreferredWeights::kMaster}, {"working", PreferredWeights::kWorking}},
      "Take the optimizer's FP32 weights, or the model's own (default: as PEFT would have saved)");
  add_durability(command, options->rescue.durability);
  add_json(command, options->json);
  command.about(
      R"(Takes the adapter out of a training checkpoint: DeepSpeed ZeRO 1, 2, 3 and universal,
torch's distributed checkpoints (FSDP, Accelerate, Trainer, Megatron), files of torch.save
of one rank or all, Lightning, safetensors. Needs no GPU, no torch and no trainer, runs
nothing, and reads little more than the adapter's own bytes.

Of a run's folder the newest complete step is taken. The exit status is 0 only if every
tensor of the adapter is there, whole and of one step; otherwise nothing is written.

Examples:
  ferrule rescue checkpoint-500 -o my-adapter
  ferrule rescue runs/llama -o my-adapter --config adapter_config.json
  ferrule rescue out/global_step40 -o my-adapter --config c.json --prefer master)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
