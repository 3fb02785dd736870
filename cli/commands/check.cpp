// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/file_names.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/table.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMaxRows = 50;

struct Options {
  std::string adapter;
  std::string base;
  bool list_all = false;
  bool offline = false;
  Output output;
  CheckOptions check;
};

/// The document keeps its fixed fields if there was nothing to compare.
int fail_check(const Error& error, const Options& options, const std::string& given,
               Verdict verdict) {
  if (options.output.is_sarif()) {
    report(error);
    print_sarif("check", std::vector{to_finding(error)}, {});
    return exit_code(error, given);
  }
  return fail_place(
      error, given, options.output.is_json(),
      to_json(CheckReport{
          .verdict = verdict, .matched = 0, .total = 0, .findings = {to_finding(error)}}));
}

Color color_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return Color::kGreen;
    case Verdict::kWarn:
    case Verdict::kUnknown:
      return Color::kYellow;
    case Verdict::kBad:
      break;
  }
  return Color::kRed;
}

void print_human(const CheckReport& checked, const Options& options) {
  Table table({{"SEVERITY"}, {"RULE"}, {"MODULE"}, {"WHAT"}});
  std::vector<std::string> advice;
  for (const auto& finding : checked.findings) {
    if (std::find(advice.begin(), advice.end(), finding.advice) == advice.end() &&
        !finding.advice.empty()) {
      advice.push_back(finding.advice);
    }
  }
  const auto causes = causes_of(checked.findings, options.list_all);
  const auto shown = options.list_all ? causes.size() : std::min(causes.size(), kMaxRows);
  for (const auto& cause : std::span(causes).first(shown)) {
    const auto& finding = *cause.first;
    table.add({std::string(severity_name(finding.severity)), finding.rule,
               printable(finding.key.empty() ? "-" : finding.key), printable(cause.message())});
  }
  if (!table.empty()) print(Stream::kOut, table.to_string(terminal_columns()) + "\n");
  if (causes.size() > shown) {
    print(Stream::kOut, "... and " + grouped(causes.size() - shown) + " more (--all lists them)\n");
  }
  for (std::size_t i = 0; i < advice.size() && i < 8; ++i) {
    print(Stream::kOut, "advice: " + printable(advice[i]) + "\n");
  }
  print(Stream::kOut, printable(options.adapter) + ": " +
                          colored(Stream::kOut, color_of(checked.verdict),
                                  std::string(verdict_name(checked.verdict))) +
                          ", " + grouped(checked.matched) + " of " +
                          counted(checked.total, "module") + " found in " +
                          printable(options.base) + "\n");
}

/// The base that was given, or the one that the adapter names; options.base is then its name.
Result<Place> find_base(Options& options, const std::filesystem::path& adapter) {
  if (!options.base.empty()) return Place::of_base(options.base, options.offline);
  auto config = AdapterConfig::open(adapter / kConfigFile);
  if (!config) return config.error();
  options.base = config->base_model_name_or_path().value_or("");
  auto place = Place::of_base(*config, options.offline);
  if (place || place.error().code != ErrorCode::kInvalidArgument) return place;
  return Error{.code = ErrorCode::kInvalidArgument,
               .message = "--base is required: the adapter's config does not name its base model",
               .path = options.adapter};
}

int run(Options& options) {
  const auto adapter = Place::of_adapter(options.adapter);
  if (!adapter) return fail_check(adapter.error(), options, options.adapter, Verdict::kBad);
  const bool is_given = !options.base.empty();
  const auto place = find_base(options, adapter->path());
  if (!place) {
    return fail_check(place.error(), options, is_given ? options.base : options.adapter,
                      Verdict::kUnknown);
  }
  const auto base = BaseModel::open(place->path());
  if (!base) return fail_check(base.error(), options, options.base, Verdict::kUnknown);
  const auto checked = check(adapter->path(), *base, options.check);
  if (!checked) return fail_check(checked.error(), options, options.adapter, Verdict::kBad);
  if (options.output.is_sarif()) {
    print_sarif("check", checked->findings, {});
  } else if (options.output.is_json()) {
    print_document(to_json(*checked));
  } else {
    print_human(*checked, options);
  }
  return checked->good() ? kGood : kBad;
}

}  // namespace

void add_check(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("ADAPTER", options->adapter, kAdapterHelp).required();
  command.option("--base", options->base, "PATH",
                 "The base model: its directory, an index, a file of tensors, a config.json, or a "
                 "repository of the Hub (default: the one that the adapter's config names)");
  command.flag("--offline", options->offline,
               "Look for a base that is not a path in the Hub's cache only");
  command.flag("--values", options->check.values,
               "Read values too: NaN, Inf, a B that is all zeros");
  add_engine(command, options->check.engines, "Also check against this serving engine");
  command.flag("--allow-partial", options->check.allow_partial,
               "Accept modules that the base does not have if at least one is found; a wrong shape "
               "is still an error");
  command.flag("--all", options->list_all, "List every finding instead of one line for each cause");
  add_output(command, options->output);
  command.about(
      "Only headers are read. Without --base the base model is the one that the adapter's config\n"
      "names: a folder, a repository in the Hub's cache, or, unless offline, the headers of one\n"
      "on the Hub. Exit status: 0 for ok and warn, 1 for bad and unknown.\n"
      "\n"
      "Engines: " +
      engine_list() + R"(.

Examples:
  ferrule check my-adapter
  ferrule check my-adapter --base models/llama
  ferrule check my-adapter --base models/llama --engine vllm --json)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
