// SPDX-License-Identifier: Apache-2.0
#include "ferrule/to_lora.hpp"

#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/number.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/text.hpp"
#include "print/factored.hpp"
#include "print/failure.hpp"
#include "print/progress.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string output;
  std::string base;
  std::string report;
  bool json = false;
  ToLoraOptions convert;
};

int run(Options& options) {
  if (!options.convert.rank && !options.convert.max_error) {
    return fail_usage({"one of --rank and --max-error is required"},
                      "Try 'ferrule to-lora --help'.\n", options.json);
  }
  options.convert.base = options.base;
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  Working working("converting " + printable(options.adapter));
  const auto done = to_lora(place->path(), options.output, options.convert);
  working.stop();
  if (!done) return fail(done.error(), options.json);
  return finish_factored(*done, options.report, options.output, options.json);
}

}  // namespace

void add_to_lora(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command.option("-o,--output", options->output, "DIR", "Where to write the LoRA").required();
  add_count(command, "--rank", options->convert.rank, "R", "Largest rank of any module");
  add_share(command, "--max-error", options->convert.max_error, "X",
            "Relative error that each module may have, 0 to 1");
  command.option("--base", options->base, "BASE",
                 "Directory of the base model: for DoRA, OFT, BOFT, HRA, IA3, and for methods "
                 "whose files do not tell the shape of the weight");
  add_report(command, options->report);
  add_threads(command, options->convert.threads);
  add_torch_key(command, options->convert.open);
  add_durability(command, options->convert.durability);
  add_json(command, options->json);
  command.about(R"(Writes what an adapter of another method adds to the base as a plain LoRA: the
best update of each module that the rank or the error allows. Modules saved in full, biases and
trained tokens are taken over. Prompt methods change no weight and are refused.

Examples:
  ferrule to-lora my-loha -o my-lora --rank 16
  ferrule to-lora my-dora -o my-lora --max-error 0.05 --base llama)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
