// SPDX-License-Identifier: Apache-2.0
#include "ferrule/check.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/fleet.hpp"
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

constexpr std::size_t kMaxRows = 50;

struct Options {
  PathList adapters;
  Fleet fleet;
  Foreign foreign;
  bool list_all = false;
  bool offline = false;
  Output output;
  EngineChoice engines;
  CheckOptions check;
};

/// What is known of one adapter, or why nothing is.
struct Answer {
  std::string adapter;
  std::string base;
  CheckReport report;
  std::optional<Error> error = std::nullopt;
  int code = kGood;
};

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

void print_human(const Answer& answer, const Options& options) {
  const auto& checked = answer.report;
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
  print(Stream::kOut, printable(answer.adapter) + ": " +
                          colored(Stream::kOut, color_of(checked.verdict),
                                  std::string(verdict_name(checked.verdict))) +
                          ", " + grouped(checked.matched) + " of " +
                          counted(checked.total, "module") + " found in " + printable(answer.base) +
                          "\n");
}

Answer failed(std::string adapter, const Error& error, Verdict verdict) {
  Answer answer{.adapter = std::move(adapter), .base = {}, .report = {}};
  answer.report.verdict = verdict;
  answer.report.findings = {to_finding(error)};
  answer.error = error;
  answer.code = place_exit_code(error);
  return answer;
}

/// A base and where it is.
struct Base {
  Place place;
  BaseModel model;
};

/// The bases of a run, each opened once.
class Bases {
 public:
  explicit Bases(const Options& options) : options_(options) {}

  /// The base that was given, or the one that the config names.
  Result<const BaseModel*> find(const std::string& name, const AdapterConfig& config) {
    const std::lock_guard lock(mutex_);
    auto found = opened_.find(name);
    if (found == opened_.end()) found = opened_.emplace(name, open(config)).first;
    if (!found->second) return found->second.error();
    return &found->second->model;
  }

 private:
  Result<Base> open(const AdapterConfig& config) const {
    auto place = options_.foreign.base.empty()
                     ? Place::of_base(config, options_.offline)
                     : Place::of_base(options_.foreign.base, options_.offline);
    if (!place) return place.error();
    auto model = BaseModel::open(place->path());
    if (!model) return model.error();
    return Base{std::move(*place), std::move(*model)};
  }

  const Options& options_;
  std::mutex mutex_;
  std::map<std::string, Result<Base>> opened_;
};

Error no_base(const std::string& adapter) {
  return {.code = ErrorCode::kInvalidArgument,
          .message = "--base is required: the adapter's config does not name its base model",
          .path = adapter};
}

bool is_same_folder(const std::string& name, const std::filesystem::path& folder) {
  std::error_code unknown;
  return std::filesystem::equivalent(name, folder, unknown);
}

Error own_folder(const std::string& name) {
  return {.code = ErrorCode::kUnsupported,
          .rule = "BS-1",
          .message = "this is the adapter's own folder, and a base model was expected",
          .path = name};
}

Answer answer_on(const std::string& given, Bases& bases, const Options& options) {
  const auto place = Place::of_adapter(given);
  if (!place) return failed(given, place.error(), Verdict::kBad);
  const auto adapter = open_any(place->path(), foreign_options(options.foreign));
  if (!adapter) return failed(given, adapter.error(), Verdict::kBad);
  auto name = options.foreign.base;
  if (name.empty()) name = adapter->config().base_model_name_or_path().value_or("");
  if (name.empty()) return failed(given, no_base(given), Verdict::kUnknown);
  const auto base = bases.find(name, adapter->config());
  if (!base && base.error().rule == "BS-1" && is_same_folder(name, place->path()))
    return failed(given, own_folder(name), Verdict::kUnknown);
  if (!base) return failed(given, base.error(), Verdict::kUnknown);
  auto checked = check(*adapter, **base, options.check);
  if (!checked) return failed(given, checked.error(), Verdict::kBad);
  Answer answer{.adapter = given, .base = name, .report = std::move(*checked)};
  answer.code = answer.report.good() ? kGood : kBad;
  return answer;
}

Json::Object document_of(const Answer& answer) {
  auto document = to_json(answer.report);
  if (answer.error) document.emplace_back("error", place_error(*answer.error));
  return document;
}

void print_all(const std::vector<Answer>& answers, int worst, const Options& options) {
  if (options.output.is_sarif()) {
    std::vector<Finding> findings;
    for (const auto& answer : answers) {
      for (const auto& finding : answer.report.findings) {
        findings.push_back(finding);
        if (answers.size() > 1 && finding.path.empty()) findings.back().path = answer.adapter;
      }
    }
    return print_sarif("check", findings, {});
  }
  if (!options.output.is_json()) return;
  if (answers.size() == 1) return print_document(document_of(answers.front()));
  Json::Array adapters;
  for (const auto& answer : answers) {
    Json::Object document{{"path", answer.adapter}};
    for (auto& member : document_of(answer)) document.push_back(std::move(member));
    adapters.emplace_back(std::move(document));
  }
  print_document({{"good", worst == kGood}, {"adapters", std::move(adapters)}});
}

int run(Options& options) {
  const bool json = options.output.is_json();
  const auto paths = options.adapters.read(json);
  if (!paths) return paths.exit_code();
  const auto table = options.engines.open();
  if (!table) return fail(table.error(), json);
  options.check.engines = options.engines.names;
  options.check.engine_table = table->get();
  Bases bases(options);
  if (options.fleet.is_wanted()) {
    return options.fleet.run(*paths, [&](const std::string& path) {
      const auto answer = answer_on(path, bases, options);
      return FleetAnswer{document_of(answer), answer.code};
    });
  }
  std::vector<Answer> answers;
  int worst = kGood;
  for (const auto& path : *paths) {
    auto answer = answer_on(path, bases, options);
    if (answer.error) report(*answer.error);
    if (!answer.error && options.output.is_text()) print_human(answer, options);
    worst = std::max(worst, answer.code);
    answers.push_back(std::move(answer));
  }
  print_all(answers, worst, options);
  return worst;
}

}  // namespace

void add_check(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->adapters.add_to(command, "ADAPTER", kAdapterHelp);
  command.option("--base", options->foreign.base, "PATH",
                 "The base model: its directory, an index, a file of tensors, a config.json, or a "
                 "repository of the Hub (default: the one that the adapter's config names)");
  add_foreign_config(command, options->foreign);
  command.flag("--offline", options->offline,
               "Look for a base that is not a path in the Hub's cache only");
  command.flag("--values", options->check.values,
               "Read values too: NaN, Inf, a B that is all zeros");
  add_engines(command, options->engines,
              "Also check against this serving engine; vllm@0.31 is that version, without one it "
              "is the newest");
  command.flag("--allow-partial", options->check.allow_partial,
               "Accept modules that the base does not have if at least one is found; a wrong shape "
               "is still an error");
  command.flag("--all", options->list_all, "List every finding instead of one line for each cause");
  options->fleet.add_to(command);
  add_output(command, options->output);
  command.about(
      "Only headers are read. Without --base the base model is the one that the adapter's config\n"
      "names: a folder, a repository in the Hub's cache, or, unless offline, the headers of one\n"
      "on the Hub. Exit status: 0 for ok and warn, 1 for bad and unknown; of several adapters the\n"
      "worst.\n"
      "\n"
      "Engines: " +
      engine_list() + R"(.

Examples:
  ferrule check my-adapter
  ferrule check my-adapter --base models/llama
  ferrule check adapters/*/ --base models/llama
  ferrule check my-adapter --base models/llama --engine vllm@0.31 --json)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
