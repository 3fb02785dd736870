// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <memory>
#include <string>
#include <utility>

#include "commands/batch.hpp"
#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string output;
  bool keep_going = false;
  bool json = false;
  ConvertOptions convert;
};

void print_report(const ConvertReport& report, const std::string& output) {
  for (const auto& adapter : report.adapters) {
    const std::string where =
        printable(output) + (adapter.folder.empty() ? "" : "/" + printable(adapter.folder));
    print(Stream::kOut, where + ": " + adapter.from + " to " + adapter.to + ", " +
                            counted(adapter.tensors, "tensor") + ", " +
                            human_bytes(adapter.from_bytes) + "\n");
  }
}

Result<Rewritten> convert_one(const std::string& from, const std::string& to,
                              const Options& options) {
  Working working("converting " + printable(from));
  const auto report = convert(from, to, options.convert);
  working.stop();
  if (!report) return report.error();
  Rewritten done;
  done.adapters = adapters_of(to_json(*report, to));
  if (!options.json) print_report(*report, to);
  return done;
}

int run(const Options& options) {
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.adapter, options.json);
  const auto from = place->path().string();
  if (options.keep_going) {
    return rewrite_each(from, options.output, options.json, [&](const auto& one, const auto& to) {
      return convert_one(one, to, options);
    });
  }
  Working working("converting " + printable(options.adapter));
  const auto report = convert(from, options.output, options.convert);
  working.stop();
  if (!report) return fail(report.error(), options.adapter, options.json);
  if (options.json) {
    print_document(to_json(*report, options.output));
  } else {
    print_report(*report, options.output);
  }
  return kGood;
}

}  // namespace

void add_convert(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->convert.threads = 0;
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command
      .option("-o,--output", options->output, "DIR",
              "Where to write; ADAPTER itself converts in place")
      .required();
  command
      .choice<WeightsFormat>(
          "--to", options->convert.format,
          {{"safetensors", WeightsFormat::kSafetensors}, {"bin", WeightsFormat::kBin}},
          "The format to write (default: safetensors)")
      .alias("--format");
  add_keep_going(command, options->keep_going);
  add_torch_key(command, options->convert.open);
  add_durability(command, options->convert.durability);
  add_json(command, options->json);
  command.about(
      R"(Rewrites the weights in the format with every tensor unchanged. The config, the card and
other files stay as they are; adapters in folders below are converted too. The output
appears complete or not at all.

Examples:
  ferrule convert my-adapter -o my-adapter --to safetensors
  ferrule convert my-adapter -o for-old-peft --to bin)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
