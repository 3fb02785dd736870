// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/fleet.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/content_id.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  PathList paths;
  Fleet fleet;
  Foreign foreign;
  bool json = false;
};

/// The id of one adapter, or why it has none.
struct Answer {
  std::string id;
  std::vector<Finding> findings;
  std::optional<Error> error;
  int code = kGood;
};

Answer id_of(const std::string& path, const Foreign& foreign, unsigned threads = 0) {
  Answer answer;
  const auto failed = [&](const Error& error) {
    answer.error = error;
    answer.code = exit_code(error);
    return answer;
  };
  const auto place = Place::of_adapter(path);
  if (!place) return failed(place.error());
  const auto adapter = open_any(place->path(), foreign_options(foreign));
  if (!adapter) return failed(adapter.error());
  answer.findings.assign(adapter->findings().begin(), adapter->findings().end());
  if (has_error(answer.findings)) {
    answer.code = kBad;
  } else {
    answer.id = content_id(*adapter, {.threads = threads});
  }
  return answer;
}

Json to_json(const Answer& answer, const std::string& path) {
  return Json::Object{{"path", path},
                      {"id", answer.id.empty() ? Json() : Json(answer.id)},
                      {"findings", cli::to_json(answer.findings)},
                      {"error", answer.error ? cli::to_json(*answer.error) : Json()}};
}

int run(const Options& options) {
  const auto paths = options.paths.read(options.json);
  if (!paths) return paths.exit_code();
  if (options.fleet.is_wanted()) {
    return options.fleet.run(*paths, [&options](const std::string& path) {
      const auto answer = id_of(path, options.foreign, 1);
      return FleetAnswer{fields_of(to_json(answer, path)), answer.code};
    });
  }
  int worst = kGood;
  Json::Array adapters;
  for (const auto& path : *paths) {
    Working working("hashing " + printable(path));
    const auto answer = id_of(path, options.foreign);
    working.stop();
    worst = std::max(worst, answer.code);
    if (answer.error) report(*answer.error);
    if (options.json) {
      adapters.push_back(to_json(answer, path));
    } else if (answer.id.empty()) {
      report(answer.findings);
    } else {
      print(Stream::kOut, answer.id + (paths->size() > 1 ? "  " + printable(path) : "") + "\n");
    }
  }
  if (options.json) print_document({{"adapters", std::move(adapters)}});
  return worst;
}

}  // namespace

void add_id(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->paths.add_to(command, "ADAPTER",
                        "Directories of adapters, repositories of the Hub, addresses");
  options->fleet.add_to(command);
  add_foreign(command, options->foreign);
  add_json(command, options->json);
  command.about(R"(Prints 64 hexadecimal digits that name the adapter's content: the same for every
container, file order, metadata, card and spelling of the config; different after any
change of a tensor or of what the config means. Of several adapters one a line, with the
path, as sha256sum does.

Examples:
  ferrule id my-adapter > my-adapter.id
  ferrule id adapters/*/)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
