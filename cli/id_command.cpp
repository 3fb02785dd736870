// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "command.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/content_id.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

int run(const std::string& path) {
  const auto adapter = Adapter::open(path);
  if (!adapter) return fail(adapter.error(), path, false);
  const auto findings = adapter->findings();
  if (has_error({findings.begin(), findings.end()})) {
    report(findings);
    return kBad;
  }
  print(Stream::kOut, content_id(*adapter) + "\n");
  return kGood;
}

}  // namespace

Action add_id(CLI::App& command) {
  auto path = std::make_shared<std::string>();
  command.add_option("ADAPTER", *path, "An adapter")->required()->type_name("");
  command.footer(R"(Prints 64 hexadecimal digits that name what the adapter is: the same for every
container, file order, metadata, card and spelling of the config; another for any
change of a tensor or of what the config means.

  ferrule id my-adapter)");
  return [path] { return run(*path); };
}

}  // namespace ferrule::cli
