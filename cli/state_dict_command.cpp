// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text.hpp"
#include "options.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string directory;
  std::string adapter_name = "default";
  std::string output;
  OpenOptions open;
};

int run(const Options& options) {
  const auto adapter = Adapter::open(options.directory, options.open);
  if (!adapter) {
    report(adapter.error());
    return exit_code(adapter.error(), options.directory);
  }
  const auto live = adapter->state_dict(options.adapter_name);
  std::vector<NamedTensor> tensors;
  tensors.reserve(live.size());
  for (const auto& [name, tensor] : live) tensors.push_back({name, tensor});
  const auto written = write_safetensors(options.output, tensors, {{"format", "pt"}});
  if (!written) {
    report(written.error());
    return exit_code(written.error(), options.output);
  }
  print(Stream::kOut,
        "wrote " + counted(tensors.size(), "tensor") + " to " + printable(options.output) + "\n");
  report(adapter->findings());
  return kGood;
}

}  // namespace

Action add_state_dict(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("DIR", options->directory, "Directory of an adapter")
      ->required()
      ->type_name("");
  command.add_option("--adapter", options->adapter_name, "Its name in the model [default]")
      ->type_name("NAME");
  command.add_option("-o,--output", options->output, "The safetensors file to write")
      ->required()
      ->type_name("FILE");
  add_torch_key(command, options->open);
  command.footer(R"(Examples:
  ferrule state-dict my-adapter -o live.safetensors
  ferrule state-dict my-adapter --adapter style -o live.safetensors)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
