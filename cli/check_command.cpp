// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "command.hpp"
#include "ferrule/check.hpp"
#include "ferrule/text.hpp"
#include "options.hpp"
#include "render.hpp"

namespace ferrule::cli {
namespace {

constexpr std::size_t kMostRows = 50;

struct Options {
  std::string adapter;
  std::string base;
  bool json = false;
  CheckOptions check;
};

Json to_json(const Finding& finding) {
  return Json::Object{{"severity", Json(severity_name(finding.severity))},
                      {"code", Json(finding.rule)},
                      {"module", Json(finding.key)},
                      {"message", Json(finding.message)},
                      {"advice", Json(finding.advice)},
                      {"path", Json(finding.path)}};
}

Json to_json(Verdict verdict, std::uint64_t matched, std::uint64_t total,
             const std::vector<Finding>& findings) {
  Json::Array list;
  for (const auto& finding : findings) list.push_back(to_json(finding));
  return Json::Object{
      {"version", 1},
      {"verdict", Json(verdict_name(verdict))},
      {"modules", Json::Object{{"matched", number(matched)}, {"total", number(total)}}},
      {"findings", std::move(list)}};
}

/// An answer where there could be no comparison: the document has its fixed fields all the same.
int fail(const Error& error, const Options& options, const std::string& given, Verdict verdict) {
  report(error);
  if (options.json) {
    auto json = to_json(verdict, 0, 0, {to_finding(error)});
    json.set("error", cli::to_json(error));
    print_json(json);
  }
  const auto code = exit_code(error, error.path.empty() ? given : error.path);
  std::error_code ignored;
  // A shard or a config that is missing makes the data bad; the path itself is the caller's.
  return code == kSystem && error.code == ErrorCode::kNotFound &&
                 std::filesystem::exists(given, ignored)
             ? kBad
             : code;
}

Colour colour_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return Colour::kGreen;
    case Verdict::kWarn:
    case Verdict::kUnknown:
      return Colour::kYellow;
    case Verdict::kBad:
      break;
  }
  return Colour::kRed;
}

void print_human(const CheckReport& checked, const Options& options) {
  Table table({{"severity"}, {"code"}, {"module"}, {"what"}});
  std::vector<std::string> advice;
  for (const auto& finding : checked.findings()) {
    if (std::find(advice.begin(), advice.end(), finding.advice) == advice.end() &&
        !finding.advice.empty()) {
      advice.push_back(finding.advice);
    }
  }
  std::size_t rows = 0;
  for (const auto& finding : checked.findings()) {
    if (rows++ == kMostRows) break;
    table.add({std::string(severity_name(finding.severity)), finding.rule,
               printable(finding.key.empty() ? "-" : finding.key), printable(finding.message)});
  }
  if (!table.empty()) print(Stream::kOut, table.to_string(terminal_columns()) + "\n");
  if (checked.findings().size() > kMostRows) {
    print(Stream::kOut, "... and " + grouped(checked.findings().size() - kMostRows) +
                            " more (--json has them all)\n");
  }
  for (std::size_t i = 0; i < advice.size() && i < 8; ++i) {
    print(Stream::kOut, "advice: " + printable(advice[i]) + "\n");
  }
  print(Stream::kOut, printable(options.adapter) + ": " +
                          coloured(Stream::kOut, colour_of(checked.verdict()),
                                   std::string(verdict_name(checked.verdict()))) +
                          ", " + grouped(checked.matched()) + " of " +
                          counted(checked.total(), "module") + " found in " +
                          printable(options.base) + "\n");
}

int run(const Options& options) {
  const auto engines = serving_engines();
  for (const auto& id : options.check.engines) {
    const bool known = std::any_of(engines.begin(), engines.end(),
                                   [&](const ServingEngine& engine) { return engine.id == id; });
    if (known) continue;
    std::vector<std::string> words;
    for (const auto& engine : engines) words.emplace_back(engine.id);
    print(Stream::kErr,
          "ferrule: no engine is called " + quote(id) + did_you_mean(id, words) + "\n");
    return kUsage;
  }
  const auto base = BaseModel::open(options.base);
  if (!base) return fail(base.error(), options, options.base, Verdict::kUnknown);
  const auto checked = check(std::filesystem::path(options.adapter), *base, options.check);
  if (!checked) return fail(checked.error(), options, options.adapter, Verdict::kBad);
  if (options.json) {
    print_json(
        to_json(checked->verdict(), checked->matched(), checked->total(), checked->findings()));
  } else {
    print_human(*checked, options);
  }
  return checked->good() ? kGood : kBad;
}

}  // namespace

Action add_check(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("ADAPTER", options->adapter, "Directory of the adapter")
      ->required()
      ->type_name("");
  command
      .add_option("--base", options->base,
                  "The base model: its directory, an index, a file of tensors, or a config.json")
      ->required()
      ->type_name("PATH");
  command.add_flag("--values", options->check.values, "Read values too: NaN, Inf, B of zeros");
  command
      .add_option("--for", options->check.engines, "An engine that shall serve it; may be repeated")
      ->expected(1)
      ->take_all()
      ->type_name("ENGINE");
  command.add_flag("--allow-partial", options->check.allow_partial,
                   "Forgive modules that the base lacks if at least one is found; never a shape");
  command.add_flag("--json", options->json, "Print one JSON document");
  std::string list;
  for (const auto& engine : serving_engines())
    list += (list.empty() ? "" : ", ") + std::string(engine.id);
  command.footer(
      "Examples:\n"
      "  ferrule check my-adapter --base models/llama\n"
      "  ferrule check my-adapter --base models/llama --for vllm --json\n"
      "\n"
      "Engines: " +
      list +
      ".\n"
      "Only headers are read. Exit status: 0 ok and warn, 1 bad and unknown.");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
