// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "command.hpp"
#include "ferrule/normalize.hpp"
#include "ferrule/text.hpp"
#include "options.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string output;
  bool json = false;
  NormalizeOptions normalize;
};

Json to_json(const NormalizeReport& report, const Options& options) {
  Json::Array copied(report.copied.begin(), report.copied.end());
  return Json::Object{
      {"version", 1},
      {"directory", options.output},
      {"in_place", report.in_place},
      {"weights_file", report.weights_file},
      {"rank", number(report.rank)},
      {"modules", number(report.modules)},
      {"padded", number(report.padded)},
      {"folded", number(report.folded)},
      {"exact", report.exact},
      {"largest_relative_error", real(report.largest_relative_error)},
      {"worst_module", report.worst_module.empty() ? Json() : Json(report.worst_module)},
      {"copied", std::move(copied)},
      {"findings", cli::to_json(report.findings)}};
}

void print_report(const NormalizeReport& report, const Options& options) {
  std::string text =
      printable(options.output) + ": " + counted(report.modules, "module") + " of strength 1, ";
  text += options.normalize.rank == NormalRank::kUniform ? "rank " : "r ";
  text += grouped(report.rank) + " (" + grouped(report.padded) + " filled up, " +
          grouped(report.folded) + " folded)\n";
  text += "largest relative error of an update: ";
  if (report.exact) {
    text += "0, nothing was rounded\n";
  } else {
    text += plain_number(report.largest_relative_error) +
            (report.worst_module.empty() ? "" : " in " + printable(report.worst_module, 400)) +
            "\n";
  }
  print(Stream::kOut, text);
}

int run(const Options& options) {
  const auto done = normalize(options.directory, options.output, options.normalize);
  if (!done) return fail(done.error(), options.directory, options.json);
  if (options.json) {
    print_json(to_json(*done, options));
    return kGood;
  }
  report(done->findings);
  print_report(*done, options);
  return kGood;
}

}  // namespace

Action add_normalize(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("ADAPTER", options->directory, "An adapter")->required()->type_name("");
  command.add_option("-o,--output", options->output, "Where it goes; ADAPTER itself for in place")
      ->required()
      ->type_name("DIR");
  add_choice<NormalRank>(command, "--rank", options->normalize.rank,
                         {{"uniform", NormalRank::kUniform}, {"keep", NormalRank::kKeep}},
                         "One rank for all, filled up with zeros, or each as it is [uniform]");
  add_choice<ScalePlace>(
      command, "--scale", options->normalize.scale,
      {{"b", ScalePlace::kB}, {"a", ScalePlace::kA}, {"split", ScalePlace::kSplit}},
      "Which factor takes the strength [b]");
  command
      .add_option("--for", options->normalize.engines,
                  "An engine that shall serve it; may be repeated")
      ->expected(1)
      ->take_all()
      ->type_name("ENGINE");
  add_torch_key(command, options->normalize.open);
  add_durability(command, options->normalize.durability);
  command.add_flag("--json", options->json, "Print one JSON document");
  command.footer(R"(Writes a plain LoRA as one that every engine reads the same: alpha = r, so that
every strength is 1, no rsLoRA, no patterns. Filling up ranks and folding in a power
of two are exact; the largest relative error of an update is measured and printed.
What a plain LoRA cannot express (DoRA, biases, ...) is refused, and what an engine
named by --for would refuse or ignore even then ('ferrule check --help' lists them).

  ferrule normalize my-adapter -o my-adapter-plain)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
