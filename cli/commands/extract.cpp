// SPDX-License-Identifier: Apache-2.0
#include "ferrule/extract.hpp"

#include <memory>
#include <optional>
#include <string>

#include "commands/command.hpp"
#include "commands/number.hpp"
#include "commands/options.hpp"
#include "ferrule/text.hpp"
#include "print/factored.hpp"
#include "print/failure.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string base;
  std::string tuned;
  std::string output;
  std::optional<std::uint64_t> rank;
  bool full = false;
  std::string report;
  bool json = false;
  ExtractOptions extract;
};

void print_others(const ExtractReport& done) {
  for (const auto& other : done.others) {
    std::string text = printable(other.name, 400) + ": changed";
    if (other.relative_change) text += " by " + plain_number(*other.relative_change);
    print(Stream::kOut, text + (other.kept ? ", kept in full\n" : ", not kept\n"));
  }
}

int run(Options& options) {
  if (options.rank) options.extract.rank = *options.rank;
  options.extract.others = options.full ? OtherTensors::kKeep : OtherTensors::kReport;
  Working working("extracting " + printable(options.tuned));
  const auto done = extract(options.base, options.tuned, options.output, options.extract);
  working.stop();
  if (!done) return fail(done.error(), options.json);
  const int code = finish_factored(*done, options.report, options.output, options.json);
  if (code == kGood && !options.json) print_others(*done);
  return code;
}

}  // namespace

void add_extract(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.option("--base", options->base, "BASE", "Directory of the model before training")
      .required();
  command.option("--tuned", options->tuned, "TUNED", "Directory of the model after training")
      .required();
  command.option("-o,--output", options->output, "DIR", "Where to write the LoRA").required();
  add_count(command, "--rank", options->rank, "R", "Largest rank of any module").required();
  add_share(command, "--energy", options->extract.energy, "E",
            "Share of the squared norm of the change that each module keeps, if a smaller rank "
            "does it");
  command.flag("--full-modules", options->full,
               "Keep norms, biases and embeddings that changed as modules saved in full");
  add_report(command, options->report);
  add_threads(command, options->extract.threads);
  add_durability(command, options->extract.durability);
  add_json(command, options->json);
  command.about(R"(Writes the difference of two models as a LoRA: the best update of rank R for
each layer that changed. Both models may be sharded; one update a thread is in memory. What else
changed (norms, biases, embeddings) is listed.

Example:
  ferrule extract --base llama --tuned my-finetune -o my-lora --rank 32)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
