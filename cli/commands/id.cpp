// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/content_id.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string path;
  bool json = false;
};

int run(const Options& options) {
  const auto adapter = Adapter::open(options.path);
  if (!adapter) return fail(adapter.error(), options.path, options.json);
  const auto findings = adapter->findings();
  const bool good = !has_error(findings);
  const auto id = good ? content_id(*adapter, {.threads = 0}) : std::string();
  if (options.json) {
    Json::Array adapters;
    adapters.push_back(Json::Object{{"path", options.path},
                                    {"id", good ? Json(id) : Json()},
                                    {"findings", to_json(findings)},
                                    {"error", Json()}});
    print_document({{"adapters", std::move(adapters)}});
  } else if (good) {
    print(Stream::kOut, id + "\n");
  } else {
    report(findings);
  }
  return good ? kGood : kBad;
}

}  // namespace

void add_id(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->path, "Directory of an adapter").required();
  add_json(command, options->json);
  command.about(R"(Prints 64 hexadecimal digits that name the adapter's content: the same for every
container, file order, metadata, card and spelling of the config; different after any
change of a tensor or of what the config means.

Example:
  ferrule id my-adapter)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
