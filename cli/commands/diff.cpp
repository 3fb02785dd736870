// SPDX-License-Identifier: Apache-2.0
#include "ferrule/diff.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/table.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string a;
  std::string b;
  Foreign foreign;
  bool tensors = false;
  bool exit_code = false;
  Output output;
};

std::string cell(const std::optional<double>& number) {
  return number ? plain_number(*number) : "-";
}

void add_row(Table& table, const std::string& name, const DiffMeasure& measure) {
  table.add({name, std::string(diff_verdict_name(measure.verdict)), cell(measure.factor),
             cell(measure.relative_distance), cell(measure.cosine)});
}

void print_report(const DiffReport& report) {
  if (!report.config.empty()) {
    Table config({{"CONFIG"}, {"A"}, {"B"}});
    const auto value = [](const std::optional<Json>& json) {
      return json ? printable(json->dump_python(-1), 200) : std::string("-");
    };
    for (const auto& field : report.config) {
      config.add({printable(field.field, 100), value(field.a), value(field.b)});
    }
    print(Stream::kOut, config.to_string(terminal_columns()) + "\n");
  }
  Table table({{"MODULE"},
               {"VERDICT"},
               {"FACTOR", Align::kRight},
               {"DISTANCE", Align::kRight},
               {"COSINE", Align::kRight}});
  for (const auto& module : report.modules) {
    add_row(table, module.path.empty() ? "(the model)" : printable(module.path, 400),
            module.measure);
    for (const auto& tensor : module.tensors) {
      add_row(table, "  " + printable(tensor.name, 100), tensor.measure);
    }
  }
  if (!table.empty()) print(Stream::kOut, table.to_string(terminal_columns()) + "\n");
  std::string text(diff_verdict_name(report.measure.verdict));
  if (report.measure.verdict == DiffVerdict::kScaled) {
    text += ": B is " + cell(report.measure.factor) + " times A";
  }
  if (report.measure.relative_distance) {
    text += ", relative distance " + cell(report.measure.relative_distance);
  }
  print(Stream::kOut, text + "\n");
}

/// Every module that is not the same, and every field that means something else, as a finding.
std::vector<Finding> differences(const DiffReport& report, const Options& options) {
  auto findings = report.findings;
  const auto add = [&](std::string rule, const std::string& key, std::string message) {
    findings.push_back({.severity = Severity::kWarning,
                        .rule = std::move(rule),
                        .path = options.b,
                        .key = key,
                        .message = std::move(message),
                        .advice = {}});
  };
  for (const auto& module : report.modules) {
    if (module.measure.verdict == DiffVerdict::kSame) continue;
    const std::string verdict(diff_verdict_name(module.measure.verdict));
    add("diff-" + verdict, module.path,
        "compared with " + quote(options.a) + ": " + verdict + ", factor " +
            cell(module.measure.factor) + ", relative distance " +
            cell(module.measure.relative_distance));
  }
  for (const auto& field : report.config) {
    add("diff-config", field.field,
        "the field is " + (field.b ? printable(field.b->dump(), 200) : "absent") + ", in " +
            quote(options.a) + " it is " + (field.a ? printable(field.a->dump(), 200) : "absent"));
  }
  return findings;
}

/// An adapter, and what keeps its files.
struct Opened {
  Place place;
  Adapter adapter;
};

/// The exit code, and the adapter if it is good.
std::pair<int, std::optional<Opened>> open_good(const std::string& path, const Foreign& foreign,
                                                bool json) {
  auto place = Place::of_adapter(path);
  if (!place) return {fail_place(place.error(), json), std::nullopt};
  auto adapter = open_any(place->path(), foreign_options(foreign));
  if (!adapter) return {fail(adapter.error(), json), std::nullopt};
  const auto findings = adapter->findings();
  if (!has_error(findings)) {
    return {kGood, Opened{std::move(place).value(), std::move(adapter).value()}};
  }
  report(findings);
  if (json) {
    print_document({{"findings", cli::to_json(findings)}});
  }
  return {kBad, std::nullopt};
}

int run(const Options& options) {
  const auto [a_code, a] = open_good(options.a, options.foreign, options.output.is_json());
  if (!a) return a_code;
  const auto [b_code, b] = open_good(options.b, options.foreign, options.output.is_json());
  if (!b) return b_code;
  Working working("comparing");
  const auto difference = diff(a->adapter, b->adapter, {.tensors = options.tensors, .threads = 0});
  working.stop();
  if (options.output.is_sarif()) {
    print_sarif("diff", differences(difference, options), {});
  } else if (options.output.is_json()) {
    print_document(to_json(difference, options.a, options.b, options.tensors));
  } else {
    report(difference.findings);
    print_report(difference);
  }
  const bool is_same = difference.measure.verdict == DiffVerdict::kSame;
  return options.exit_code && !is_same ? kBad : kGood;
}

}  // namespace

void add_diff(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("A", options->a, kAdapterHelp).required();
  command.positional("B", options->b, "Another one").required();
  command.flag("--tensors", options->tensors, "List the tensors of each module too");
  command.flag("--exit-code", options->exit_code, "Exit with 1 if the adapters are not the same");
  add_foreign(command, options->foreign);
  add_output(command, options->output);
  command.about(
      R"(Compares what the adapters do to a base, not how they are written: factors that were
rescaled or rotated are the same. FACTOR is B over A, DISTANCE is |A - B| / |A|.
The exit status is 0 whether they differ or not, unless --exit-code is given.

Example:
  ferrule diff my-adapter my-adapter-normalized)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
