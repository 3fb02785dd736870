// SPDX-License-Identifier: Apache-2.0
#include "ferrule/normalize.hpp"

#include <memory>
#include <string>

#include "commands/batch.hpp"
#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string output;
  Foreign foreign;
  bool keep_going = false;
  bool json = false;
  EngineChoice engines;
  NormalizeOptions normalize;
};

void print_report(const NormalizeReport& report, const std::string& output,
                  const Options& options) {
  std::string text =
      printable(output) + ": " + counted(report.modules, "module") + " of strength 1, ";
  text += options.normalize.rank == NormalRank::kUniform ? "rank " : "r ";
  text += grouped(report.rank) + " (" + grouped(report.padded) + " padded, " +
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

Result<Rewritten> normalize_one(const std::string& from, const std::string& to,
                                const Options& options) {
  Working working("normalizing " + printable(from));
  const auto report = normalize_any(from, to, options.normalize, foreign_options(options.foreign));
  working.stop();
  if (!report) return report.error();
  Rewritten done;
  done.adapters.emplace_back(to_json(*report, to));
  if (!options.json) {
    cli::report(report->findings);
    print_report(*report, to, options);
  }
  return done;
}

int run(Options& options) {
  const auto table = options.engines.open();
  if (!table) return fail(table.error(), options.json);
  options.normalize.engines = options.engines.names;
  options.normalize.engine_table = table->get();
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  const auto from = place->path().string();
  if (options.keep_going) {
    return rewrite_each(from, options.output, options.json, [&](const auto& one, const auto& to) {
      return normalize_one(one, to, options);
    });
  }
  Working working("normalizing " + printable(options.adapter));
  const auto done =
      normalize_any(from, options.output, options.normalize, foreign_options(options.foreign));
  working.stop();
  if (!done) return fail(done.error(), options.json);
  if (options.json) {
    print_document(to_json(*done, options.output));
    return kGood;
  }
  report(done->findings);
  print_report(*done, options.output, options);
  return kGood;
}

}  // namespace

void add_normalize(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->normalize.threads = 0;
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command
      .option("-o,--output", options->output, "DIR",
              "Where to write; ADAPTER itself rewrites it in place")
      .required();
  command.choice<NormalRank>("--rank", options->normalize.rank,
                             {{"uniform", NormalRank::kUniform}, {"keep", NormalRank::kKeep}},
                             "One rank for all modules, padded with zeros, or each rank as it is "
                             "(default: uniform)");
  command.choice<ScalePlace>(
      "--scale", options->normalize.scale,
      {{"b", ScalePlace::kB}, {"a", ScalePlace::kA}, {"split", ScalePlace::kSplit}},
      "Which factor takes the strength (default: b)");
  add_engines(command, options->engines,
              "Also refuse what this serving engine would refuse or ignore; vllm@0.31 is that "
              "version, without one it is the newest");
  add_foreign(command, options->foreign);
  add_keep_going(command, options->keep_going);
  add_torch_key(command, options->normalize.open);
  add_durability(command, options->normalize.durability);
  add_json(command, options->json);
  command.about(
      "Writes a plain LoRA that every engine reads the same way: alpha = r, so that every "
      "strength is 1, no rsLoRA, no patterns. Padding ranks and folding in a power of two "
      "are exact; the largest relative error of an update is measured and printed. What a "
      "plain LoRA cannot express (DoRA, biases, ...) is refused.\n"
      "\n"
      "Engines: " +
      engine_list() + R"(.

Examples:
  ferrule normalize my-adapter -o my-adapter-plain
  ferrule normalize adapter.gguf -o my-adapter-plain --base llama)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
