// SPDX-License-Identifier: Apache-2.0
#include "ferrule/resize.hpp"

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
  std::string report;
  bool json = false;
  ResizeOptions resize;
};

int run(const Options& options) {
  const auto& chosen = options.resize;
  if ((chosen.rank ? 1 : 0) + (chosen.energy ? 1 : 0) + (chosen.max_error ? 1 : 0) +
          (chosen.budget ? 1 : 0) !=
      1) {
    return fail_usage({"exactly one of --rank, --energy, --max-error and --budget is required"},
                      "Try 'ferrule resize --help'.\n", options.json);
  }
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  Working working("resizing " + printable(options.adapter));
  const auto done = resize(place->path(), options.output, options.resize);
  working.stop();
  if (!done) return fail(done.error(), options.json);
  return finish_factored(*done, options.report, options.output, options.json);
}

}  // namespace

void add_resize(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command
      .option("-o,--output", options->output, "DIR",
              "Where to write; ADAPTER itself rewrites it in place")
      .required();
  add_count(command, "--rank", options->resize.rank, "R", "Largest rank of any module");
  add_share(command, "--energy", options->resize.energy, "E",
            "Share of the squared norm of the update that each module keeps, 0 to 1");
  add_share(command, "--max-error", options->resize.max_error, "X",
            "Relative error that each module may have, 0 to 1");
  add_count(command, "--budget", options->resize.budget, "PARAMETERS",
            "Parameters of all modules together, shared by singular values");
  add_report(command, options->report);
  add_threads(command, options->resize.threads);
  add_torch_key(command, options->resize.open);
  add_durability(command, options->resize.durability);
  add_json(command, options->json);
  command.about(R"(Cuts the update of each module to the best one of a smaller rank. Norms are
Frobenius norms. Strengths, dtypes and everything that is not A or B stay; ranks that differ are
in rank_pattern and alpha_pattern. Exactly one of the four bounds is required.

Examples:
  ferrule resize my-adapter -o my-adapter-r8 --rank 8
  ferrule resize my-adapter -o my-adapter-small --max-error 0.1)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
