// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
#include "exit_code.hpp"
#include "ferrule/pickle_scan.hpp"
#include "ferrule/text.hpp"
#include "glob.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

/// The least severity that fails the scan.
enum class FailOn : std::uint8_t { kDangerous, kUnknown, kAny };

struct Options {
  PathList paths;
  std::vector<std::string> allow;
  FailOn fail_on = FailOn::kUnknown;
  bool quiet = false;
  Output output;
};

constexpr std::size_t kMaxShown = 20;  // Hits printed for one file; --json lists all.
constexpr std::size_t kMaxStandardInput = std::size_t{4} << 30;

constexpr std::array kOutOfScope = {
    "remote code (Python files, \"auto_map\" in configs)",
    "templates (chat_template in tokenizer files)",
};

/// One file with what is left of it after --allow.
struct Judged {
  ScannedFile file;
  std::uint64_t allowed = 0;
  std::optional<ScanSeverity> severity;
};

bool is_allowed(const Options& options, const std::string& text) {
  return std::any_of(options.allow.begin(), options.allow.end(),
                     [&](const std::string& glob) { return glob_matches(glob, text); });
}

/// --allow takes a file by its path or its name, and a global by its name.
Judged judge(ScannedFile file, const Options& options) {
  Judged judged{.file = std::move(file), .allowed = 0, .severity = {}};
  auto& hits = judged.file.hits;
  auto& gaps = judged.file.gaps;
  const auto before = hits.size() + gaps.size();
  if (is_allowed(options, judged.file.path.string()) ||
      is_allowed(options, judged.file.path.filename().string())) {
    hits.clear();
    gaps.clear();
  } else {
    std::erase_if(hits, [&](const ScanHit& hit) {
      return !hit.global.empty() && is_allowed(options, hit.global);
    });
  }
  judged.allowed = before - hits.size() - gaps.size();
  judged.severity = judged.file.severity();
  return judged;
}

bool fails(const std::optional<ScanSeverity>& severity, FailOn fail_on) {
  if (!severity) return false;
  switch (fail_on) {
    case FailOn::kDangerous:
      return *severity == ScanSeverity::kDangerous;
    case FailOn::kUnknown:
      return *severity != ScanSeverity::kTrainingState;
    case FailOn::kAny:
      break;
  }
  return true;
}

std::string place(const ScannedFile& file, const std::string& entry) {
  return printable(file.path.string()) + (entry.empty() ? "" : "!" + printable(entry));
}

Color color_of(ScanSeverity severity) {
  return severity == ScanSeverity::kDangerous ? Color::kRed : Color::kYellow;
}

void show(const Judged& judged) {
  const auto& file = judged.file;
  if (file.system_error) return report(*file.system_error);
  std::size_t known = 0;
  std::size_t shown = 0;
  for (const auto& hit : file.hits) {
    if (hit.severity == ScanSeverity::kTrainingState) {
      ++known;
    } else if (shown++ < kMaxShown) {
      print(Stream::kOut, place(file, hit.entry) + ": " +
                              colored(Stream::kOut, color_of(hit.severity),
                                      std::string(scan_severity_name(hit.severity))) +
                              ": offset " + std::to_string(hit.offset) + ": " + hit.opcode + " " +
                              hit.why + "\n");
    }
  }
  if (shown > kMaxShown) {
    print(Stream::kOut, place(file, {}) + ": and " + grouped(shown - kMaxShown) +
                            " more (--json lists them all)\n");
  }
  if (known > 0) {
    print(Stream::kOut, place(file, {}) + ": training state: " + counted(known, "global") +
                            " that trainers write\n");
  }
  for (const auto& gap : file.gaps) {
    print(Stream::kOut,
          place(file, gap.entry) + ": " + colored(Stream::kOut, Color::kYellow, "unknown") +
              ": not read to its end: " + (gap.rule.empty() ? "" : "[" + gap.rule + "] ") +
              gap.message + "\n");
  }
}

Json severity_json(const std::optional<ScanSeverity>& severity) {
  return severity ? Json(scan_severity_name(*severity)) : Json();
}

Json to_json(const Judged& judged) {
  const auto& file = judged.file;
  Json::Array hits;
  for (const auto& hit : file.hits) {
    hits.push_back(Json::Object{{"severity", scan_severity_name(hit.severity)},
                                {"entry", hit.entry},
                                {"offset", number(hit.offset)},
                                {"opcode", hit.opcode},
                                {"global", hit.global.empty() ? Json() : Json(hit.global)},
                                {"why", hit.why}});
  }
  Json::Array gaps;
  for (const auto& gap : file.gaps) {
    gaps.push_back(
        Json::Object{{"entry", gap.entry}, {"rule", gap.rule}, {"message", gap.message}});
  }
  return Json::Object{{"path", file.path.string()},
                      {"severity", severity_json(judged.severity)},
                      {"examined", file.examined},
                      {"pickles", number(file.pickles)},
                      {"allowed", number(judged.allowed)},
                      {"would_run", std::move(hits)},
                      {"not_read", std::move(gaps)},
                      {"error", file.system_error ? cli::to_json(*file.system_error) : Json()}};
}

/// What all files together came to.
struct Totals {
  std::uint64_t pickles = 0;
  std::uint64_t unexamined = 0;
  std::uint64_t dangerous = 0;
  std::uint64_t unknown = 0;
  std::uint64_t training_state = 0;
  std::uint64_t errors = 0;
  bool failed = false;

  void add(const Judged& judged, FailOn fail_on) {
    pickles += judged.file.pickles;
    if (!judged.file.examined && !judged.file.system_error) ++unexamined;
    if (judged.file.system_error) ++errors;
    failed |= fails(judged.severity, fail_on);
    if (judged.severity == ScanSeverity::kDangerous) ++dangerous;
    if (judged.severity == ScanSeverity::kUnknown) ++unknown;
    if (judged.severity == ScanSeverity::kTrainingState) ++training_state;
  }

  /// What could not be opened outweighs what was found: 1 would look like the whole answer.
  int code() const { return errors > 0 ? kSystem : failed ? kBad : kGood; }

  std::string text(std::size_t files) const {
    std::string line = counted(files, "file") + ", " + counted(pickles, "pickle") + ": ";
    std::string found;
    const auto add_count = [&](std::uint64_t count, const char* what) {
      if (count == 0) return;
      found += (found.empty() ? "" : ", ") + counted(count, "file") + " " + what;
    };
    add_count(dangerous, "dangerous");
    add_count(unknown, "unknown");
    add_count(training_state, "with training state");
    line += found.empty() ? "nothing found that would run" : found;
    if (unexamined > 0) line += "; " + grouped(unexamined) + " not examined (not pickles)";
    if (errors > 0) line += "; " + grouped(errors) + " could not be opened";
    return line + "\n";
  }

  Json::Object document(std::size_t files) const {
    const char* verdict = errors > 0           ? "error"
                          : dangerous > 0      ? "dangerous"
                          : unknown > 0        ? "unknown"
                          : training_state > 0 ? "training_state"
                                               : "clean";
    Json::Array out_of_scope(kOutOfScope.begin(), kOutOfScope.end());
    return Json::Object{{"good", code() == kGood},
                        {"verdict", verdict},
                        {"counts", Json::Object{{"files", number(files)},
                                                {"pickles", number(pickles)},
                                                {"not_examined", number(unexamined)},
                                                {"dangerous", number(dangerous)},
                                                {"unknown", number(unknown)},
                                                {"training_state", number(training_state)},
                                                {"errors", number(errors)}}},
                        {"out_of_scope", std::move(out_of_scope)}};
  }
};

void add_findings(const Judged& judged, std::vector<Finding>& findings) {
  const auto path = judged.file.path.string();
  for (const auto& hit : judged.file.hits) {
    const auto severity = hit.severity == ScanSeverity::kDangerous ? Severity::kError
                          : hit.severity == ScanSeverity::kUnknown ? Severity::kWarning
                                                                   : Severity::kNote;
    findings.push_back({.severity = severity,
                        .rule = "PK-3",
                        .path = path,
                        .key = hit.global,
                        .message = (hit.entry.empty() ? "" : hit.entry + ": ") + "offset " +
                                   std::to_string(hit.offset) + ": " + hit.opcode + " " + hit.why,
                        .advice = {}});
  }
  for (const auto& gap : judged.file.gaps) {
    findings.push_back({.severity = Severity::kWarning,
                        .rule = gap.rule,
                        .path = path,
                        .key = gap.entry,
                        .message = "not read to its end: " + gap.message,
                        .advice = {}});
  }
}

std::vector<ScannedFile> scan_one(const std::string& path) {
  ScannedFile failed;
  failed.path = path;
  if (path == "-") {
    const auto content = read_standard_input(kMaxStandardInput);
    if (content) return {scan_bytes(std::as_bytes(std::span(*content)), "-")};
    failed.system_error = content.error();
    return {std::move(failed)};
  }
  const auto place = Place::apart(path);
  if (!place) {
    failed.system_error = place.error();
    return {std::move(failed)};
  }
  auto scanned = scan(place->path(), {.threads = 0});
  if (scanned && place->is_remote()) {
    for (auto& file : *scanned) file.path = path / file.path.lexically_relative(place->path());
  }
  if (scanned) return *std::move(scanned);
  failed.system_error = scanned.error();
  return {std::move(failed)};
}

void print_all(const std::vector<Judged>& files, const Totals& totals, const Options& options) {
  if (options.output.is_text()) {
    for (const auto& judged : files) {
      if (!options.quiet || fails(judged.severity, options.fail_on) || judged.file.system_error) {
        show(judged);
      }
    }
    if (!options.quiet) print(Stream::kOut, totals.text(files.size()));
    return;
  }
  std::vector<Finding> findings;
  std::vector<Error> errors;
  Json::Array documents;
  for (const auto& judged : files) {
    documents.push_back(to_json(judged));
    add_findings(judged, findings);
    if (!judged.file.system_error) continue;
    errors.push_back(*judged.file.system_error);
    report(errors.back());
  }
  if (options.output.is_sarif()) return print_sarif("scan", findings, errors);
  auto document = totals.document(files.size());
  document.emplace_back("files", std::move(documents));
  print_document(std::move(document));
}

int run(const Options& options) {
  const auto paths = options.paths.read(options.output.is_json());
  if (!paths) return paths.exit_code();
  std::vector<Judged> files;
  Totals totals;
  Working working("scanning");
  for (const auto& path : *paths) {
    for (auto& file : scan_one(path)) {
      files.push_back(judge(std::move(file), options));
      totals.add(files.back(), options.fail_on);
    }
  }
  working.stop();
  print_all(files, totals, options);
  return totals.code();
}

}  // namespace

void add_scan(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->paths.add_to(
      command, "PATH",
      "Files, folders with everything in them, repositories of the Hub and addresses; - is "
      "standard input");
  command.option(
      "--allow", options->allow, "GLOB",
      "Accept files whose path or name matches, and globals whose name matches (* and ?)");
  command.choice<FailOn>(
      "--fail-on", options->fail_on,
      {{"dangerous", FailOn::kDangerous}, {"unknown", FailOn::kUnknown}, {"any", FailOn::kAny}},
      "The least severity that fails the scan; any includes training state "
      "(default: unknown)");
  command.flag("-q,--quiet", options->quiet, "Print only what fails the scan");
  add_output(command, options->output);
  command.about(
      R"(Reads pickles as data and lists what unpickling them would import or call, unless it is on
the list of what a state dict needs. Severities: dangerous (runs commands or code, reaches
files, the network or any function), unknown (also files that could not be read to their
end), training state (what trainers write: training_args.bin, rng_state.pth). Looks into
zip archives; files compressed in another way are reported as not read.
Out of scope: remote code (Python files, auto_map in configs) and templates. Files that are
not pickles or archives count as not examined.
Exit status: 0 good, 1 something fails the scan, 3 a file could not be opened.

Examples:
  ferrule scan run/checkpoint-12
  ferrule scan ~/.cache/huggingface/hub --fail-on dangerous --format sarif
  ferrule scan downloads/ --allow 'sentence_transformers.*' --allow '*/legacy.bin'
  curl -s https://example.com/x.bin | ferrule scan -)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
