// SPDX-License-Identifier: Apache-2.0
#include "ferrule/explain.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
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
  std::string path;
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

int run(const Options& options) {
  const auto place = Place::of_adapter(options.path);
  if (!place) return fail_place(place.error(), options.path, options.json);
  const auto adapter = Adapter::open(place->path());
  if (!adapter) return fail(adapter.error(), options.path, options.json);
  const auto strengths = explain(*adapter, options.glob);
  const auto findings = adapter->findings();
  const int code = has_error(findings) ? kBad : kGood;
  const bool is_empty = strengths.modules.empty() && !options.glob.empty();
  if (is_empty) {
    print(Stream::kErr,
          printable(options.path) + ": no module matches " + quote(options.glob) + "\n");
  }
  if (options.json) {
    auto document = to_json(strengths, *adapter);
    if (place->is_remote()) document.front().second = options.path;
    print_document(std::move(document));
    return is_empty ? kBad : code;
  }
  report(findings);
  if (is_empty) return kBad;
  warn_of_idle_patterns(strengths, options.path);
  print_table(strengths, *adapter);
  return code;
}

}  // namespace

void add_explain(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->path, kAdapterHelp).required();
  command.option("--module", options->glob, "GLOB",
                 "Only modules whose path, or the end of it after a dot, matches (* and ?)");
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
