// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/safetensors_writer.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string adapter;
  std::string name = "default";
  std::string output;
  bool json = false;
  OpenOptions open;
};

int run(const Options& options) {
  const auto place = Place::of_adapter(options.adapter);
  if (!place) return fail_place(place.error(), options.json);
  auto open = options.open;
  open.allow_errors = true;  // They are reported.
  const auto adapter = Adapter::open(place->path(), open);
  if (!adapter) return fail(adapter.error(), options.json);
  const auto live = adapter->state_dict(options.name);
  std::vector<NamedTensor> tensors;
  tensors.reserve(live.size());
  for (const auto& [name, tensor] : live) tensors.push_back({name, tensor});
  const auto written = write_safetensors(options.output, tensors, {{"format", "pt"}});
  if (!written) return fail(written.error(), options.json);
  if (options.json) {
    print_document({{"path", options.adapter},
                    {"adapter_name", options.name},
                    {"output", options.output},
                    {"tensor_count", number(tensors.size())},
                    {"findings", to_json(adapter->findings())}});
    return kGood;
  }
  print(Stream::kOut,
        "wrote " + counted(tensors.size(), "tensor") + " to " + printable(options.output) + "\n");
  report(adapter->findings());
  return kGood;
}

}  // namespace

void add_state_dict(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command.option("-o,--output", options->output, "FILE", "The safetensors file to write")
      .required();
  command.option("--adapter", options->name, "NAME",
                 "The adapter's name in the model (default: \"default\")");
  add_torch_key(command, options->open);
  add_json(command, options->json);
  command.about(R"(Writes the tensors under the keys that a PEFT model with this adapter has.

Examples:
  ferrule state-dict my-adapter -o live.safetensors
  ferrule state-dict my-adapter --adapter style -o live.safetensors)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
