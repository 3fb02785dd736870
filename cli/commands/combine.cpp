// SPDX-License-Identifier: Apache-2.0
#include "ferrule/combine.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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
  std::vector<std::string> adapters;
  std::string output;
  std::string report;
  bool json = false;
  std::optional<std::uint64_t> seed;
  CombineOptions combine;
};

int run(Options& options) {
  if (options.seed) options.combine.seed = *options.seed;
  std::vector<Place> places;
  std::vector<std::filesystem::path> adapters;
  for (const auto& adapter : options.adapters) {
    auto place = Place::of_adapter(adapter);
    if (!place) return fail_place(place.error(), options.json);
    adapters.push_back(place->path());
    places.push_back(*std::move(place));
  }
  Working working("combining " + std::to_string(adapters.size()) + " adapters");
  const auto done = combine(adapters, options.output, options.combine);
  working.stop();
  if (!done) return fail(done.error(), options.json);
  return finish_factored(*done, options.report, options.output, options.json);
}

std::vector<std::pair<std::string, CombineMethod>> methods() {
  std::vector<std::pair<std::string, CombineMethod>> words;
  for (const auto name : combine_method_names()) {
    words.emplace_back(name, static_cast<CombineMethod>(words.size()));
  }
  return words;
}

}  // namespace

void add_combine(Arguments& command) {
  auto options = std::make_shared<Options>();
  command
      .positional(
          "ADAPTER", options->adapters,
          "Directories of LoRA adapters of one base, or addresses as other commands take them")
      .required();
  command.option("-o,--output", options->output, "DIR", "Where to write the result").required();
  add_numbers(command, "--weight", options->combine.weights, "W",
              "A factor on the update of each adapter, in their order (default: 1 each)");
  command
      .choice<CombineMethod>("--method", options->combine.method, methods(),
                             "How the adapters are added up")
      .required();
  add_count(command, "--rank", options->combine.rank, "R",
            "Largest rank of svd and the _svd methods (default: the largest of the adapters)");
  add_share(command, "--density", options->combine.density, "D",
            "Share of values that ties, dare and magnitude_prune keep");
  add_count(command, "--seed", options->seed, "S", "Seed of the draws of dare (default: 0)", 0);
  add_report(command, options->report);
  add_threads(command, options->combine.threads);
  add_torch_key(command, options->combine.open);
  add_durability(command, options->combine.durability);
  add_json(command, options->json);
  command.about(R"(Writes the weighted sum of several adapters as one plain LoRA of strength 1.
Ranks, alphas and rsLoRA of the adapters may differ: cat is the exact sum, svd the best
approximation of rank R. The other methods are those of PEFT's add_weighted_adapter. Without
_svd they combine A and B separately, which is not the sum of the updates; the distance is printed.

Examples:
  ferrule combine style subject -o both --method cat --weight 1 --weight 0.7
  ferrule combine a b c -o abc --method svd --rank 16
  ferrule combine tuned removed -o difference --method cat --weight=1 --weight=-1)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
