// SPDX-License-Identifier: Apache-2.0
#include "ferrule/convert.hpp"

#include <memory>
#include <string>
#include <utility>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string output;
  bool json = false;
  ConvertOptions convert;
};

int run(const Options& options) {
  const auto report = convert(options.adapter, options.output, options.convert);
  if (!report) return fail(report.error(), options.adapter, options.json);
  if (options.json) {
    print_document(to_json(*report, options.output));
    return kGood;
  }
  for (const auto& adapter : report->adapters) {
    const std::string where =
        printable(options.output) + (adapter.folder.empty() ? "" : "/" + printable(adapter.folder));
    print(Stream::kOut, where + ": " + adapter.from + " to " + adapter.to + ", " +
                            counted(adapter.tensors, "tensor") + ", " +
                            human_bytes(adapter.from_bytes) + "\n");
  }
  return kGood;
}

}  // namespace

void add_convert(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->convert.threads = 0;
  command.positional("ADAPTER", options->adapter, "Directory of an adapter").required();
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
