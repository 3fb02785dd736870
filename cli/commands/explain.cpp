// SPDX-License-Identifier: Apache-2.0
#include "ferrule/explain.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/table.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  Foreign foreign;
  PathList paths;
  std::string glob;
  bool json = false;
};

std::string number_text(const std::optional<double>& value) {
  return value ? plain_number(*value) : "-";
}

void print_table(const StrengthReport& report, const Adapter& adapter) {
  Table table({{"MODULE"},
               {"STRENGTH", Align::kRight},
               {"RANK", Align::kRight},
               {"ALPHA", Align::kRight},
               {"RULE"}});
  std::map<std::optional<double>, std::uint64_t> strengths;
  for (const auto& [path, resolved] : report.modules) {
    ++strengths[resolved.strength];
    table.add({printable(path, 400), number_text(resolved.strength), number_text(resolved.rank),
               number_text(resolved.alpha), resolved.rule});
  }
  if (!table.empty()) print(Stream::kOut, table.to_string(terminal_columns()) + "\n");
  std::string text =
      counted(report.modules.size(), "module") + " of " + printable(adapter.config().peft_type());
  for (const auto& [strength, count] : strengths) {
    text += (strength == strengths.begin()->first ? ": " : ", ") + grouped(count) + " at " +
            (strength ? plain_number(*strength) : "no strength");
  }
  print(Stream::kOut, text + "\n");
}

void warn_of_idle_patterns(const StrengthReport& report, const std::string& path) {
  for (const auto& use : report.patterns) {
    if (use.modules > 0) continue;
    cli::report(Finding{.severity = Severity::kWarning,
                        .rule = "CF-16",
                        .path = path,
                        .key = std::string(use.field),
                        .message = "no module follows the entry " + quote(use.pattern) + " of " +
                                   std::string(use.field)});
  }
}

/// What is printed of one adapter, or is its document.
struct Answer {
  Json::Object document;
  int code = kGood;
};

Answer fail_one(const Error& error) {
  report(error);
  return {{{"error", place_error(error)}}, place_exit_code(error)};
}

Answer explain_one(const std::string& path, bool is_titled, const Options& options) {
  const auto place = Place::of_adapter(path);
  if (!place) return fail_one(place.error());
  const auto adapter = open_any(place->path(), foreign_options(options.foreign));
  if (!adapter) return fail_one(adapter.error());
  const auto strengths = explain(*adapter, options.glob);
  const auto findings = adapter->findings();
  Answer answer{.document = {}, .code = has_error(findings) ? kBad : kGood};
  const bool is_empty = strengths.modules.empty() && !options.glob.empty();
  if (is_empty) {
    print(Stream::kErr, printable(path) + ": no module matches " + quote(options.glob) + "\n");
    answer.code = kBad;
  }
  if (options.json) {
    answer.document = to_json(strengths, *adapter);
    if (place->is_remote()) answer.document.front().second = path;
    return answer;
  }
  report(findings);
  if (is_empty) return answer;
  warn_of_idle_patterns(strengths, path);
  if (is_titled) print(Stream::kOut, printable(path) + ":\n");
  print_table(strengths, *adapter);
  return answer;
}

int run(const Options& options) {
  const auto paths = options.paths.read(options.json);
  if (!paths) return paths.exit_code();
  const bool is_many = paths->size() > 1;
  int worst = kGood;
  Json::Array adapters;
  for (const auto& path : *paths) {
    auto answer = explain_one(path, is_many, options);
    worst = std::max(worst, answer.code);
    if (!options.json) continue;
    if (!is_many) {
      print_document(std::move(answer.document));
      continue;
    }
    // A document has its path, unless the adapter could not be opened.
    if (answer.document.front().first != "path")
      answer.document.insert(answer.document.begin(), {"path", path});
    adapters.emplace_back(std::move(answer.document));
  }
  if (options.json && is_many) print_document({{"adapters", std::move(adapters)}});
  return worst;
}

}  // namespace

void add_explain(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->paths.add_to(command, "ADAPTER", kAdapterHelp);
  command.option("--module", options->glob, "GLOB",
                 "Only modules whose path, or the end of it after a dot, matches (* and ?)");
  add_foreign(command, options->foreign);
  add_json(command, options->json);
  command.about(
      R"(The strength is the factor on a module's update: r, alpha, rsLoRA and the patterns
resolved as PEFT does. If several patterns match, the first one in the file wins.

Examples:
  ferrule explain my-adapter
  ferrule explain my-adapter --module 'layers.0.*')");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
