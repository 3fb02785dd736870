// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "ferrule/convert.hpp"
#include "ferrule/text.hpp"
#include "options.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string output;
  bool json = false;
  ConvertOptions convert;
};

Json to_json(const ConvertReport& report, const std::string& output) {
  Json::Array adapters;
  for (const auto& adapter : report.adapters) {
    Json::Array copied(adapter.copied.begin(), adapter.copied.end());
    adapters.push_back(Json::Object{{"folder", adapter.folder},
                                    {"from", adapter.from},
                                    {"to", adapter.to},
                                    {"tensor_count", number(adapter.tensors)},
                                    {"from_bytes", number(adapter.from_bytes)},
                                    {"copied", std::move(copied)}});
  }
  return Json::Object{{"version", 1},
                      {"directory", output},
                      {"in_place", report.in_place},
                      {"adapters", std::move(adapters)}};
}

int run(const Options& options) {
  const auto report = convert(options.directory, options.output, options.convert);
  if (!report) {
    cli::report(report.error());
    if (options.json) {
      print_json(Json::Object{{"version", 1}, {"error", cli::to_json(report.error())}});
    }
    const auto& path = report.error().path;
    return exit_code(report.error(), path.empty() ? options.directory : path);
  }
  if (options.json) {
    print_json(to_json(*report, options.output));
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

Action add_convert(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("directory", options->directory, "An adapter")->required()->type_name("DIR");
  command.add_option("-o,--output", options->output, "Where it goes; DIR itself for in place")
      ->required()
      ->type_name("DIR");
  add_choice<WeightsFormat>(
      command, "--format", options->convert.format,
      {{"safetensors", WeightsFormat::kSafetensors}, {"bin", WeightsFormat::kBin}},
      "The weights file [safetensors]");
  add_torch_key(command, options->convert.open);
  add_durability(command, options->convert.durability);
  command.add_flag("--json", options->json, "Print one JSON document");
  command.footer(
      R"(Writes the weights in the format, all tensors unchanged; config, card and other
files stay as they are, adapters in folders below are converted too. The output
appears as a whole or not at all.

  ferrule convert my-adapter -o my-adapter --format safetensors)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
