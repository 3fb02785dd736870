// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/fleet.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
#include "exit_code.hpp"
#include "ferrule/pickle_scan.hpp"
#include "ferrule/scan_report.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  PathList paths;
  Fleet fleet;
  ScanPolicy policy;
  bool quiet = false;
  Output output;
};

constexpr std::size_t kMaxShown = 20;  // Hits printed for one file; --json lists all.
constexpr std::size_t kMaxStandardInput = std::size_t{4} << 30;

std::string place(const ScannedFile& file, const std::string& entry) {
  return printable(file.path.string()) + (entry.empty() ? "" : "!" + printable(entry));
}

Color color_of(ScanSeverity severity) {
  return severity == ScanSeverity::kDangerous ? Color::kRed : Color::kYellow;
}

void show(const JudgedFile& judged) {
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

/// What could not be opened outweighs what was found: 1 would look like the whole answer.
int code_of(const ScanReport& report) {
  if (report.errors > 0) return kSystem;
  return report.failed ? kBad : kGood;
}

std::string summary_of(const ScanReport& report) {
  std::string found;
  const auto add_count = [&](std::uint64_t count, const char* what) {
    if (count == 0) return;
    found += (found.empty() ? "" : ", ") + counted(count, "file") + " " + what;
  };
  add_count(report.dangerous, "dangerous");
  add_count(report.unknown, "unknown");
  add_count(report.training_state, "with training state");
  std::string line =
      counted(report.files.size(), "file") + ", " + counted(report.pickles, "pickle") + ": ";
  line += found.empty() ? "nothing found that would run" : found;
  if (report.not_examined > 0) {
    line += "; " + grouped(report.not_examined) + " not examined (not pickles)";
  }
  if (report.errors > 0) line += "; " + grouped(report.errors) + " could not be opened";
  return line + "\n";
}

std::vector<ScannedFile> scan_one(const std::string& path, unsigned threads = 0) {
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
  auto scanned = scan(place->path(), {.threads = threads});
  if (scanned && place->is_remote()) {
    for (auto& file : *scanned) file.path = path / file.path.lexically_relative(place->path());
  }
  if (scanned) return *std::move(scanned);
  failed.system_error = scanned.error();
  return {std::move(failed)};
}

void print_all(const ScanReport& scanned, const Options& options) {
  if (options.output.is_text()) {
    for (const auto& judged : scanned.files) {
      if (!options.quiet || judged.fails || judged.file.system_error) show(judged);
    }
    if (!options.quiet) print(Stream::kOut, summary_of(scanned));
    return;
  }
  std::vector<Error> errors;
  for (const auto& judged : scanned.files) {
    if (!judged.file.system_error) continue;
    errors.push_back(*judged.file.system_error);
    report(errors.back());
  }
  if (options.output.is_sarif()) return print_sarif("scan", scanned.findings(), errors);
  print_document(to_json(scanned));
}

int run(const Options& options) {
  const auto paths = options.paths.read(options.output.is_json());
  if (!paths) return paths.exit_code();
  if (options.fleet.is_wanted()) {
    return options.fleet.run(*paths, [&](const std::string& path) {
      ScanReport scanned;
      for (auto& file : scan_one(path, 1)) scanned.add(std::move(file), options.policy);
      return FleetAnswer{to_json(scanned), code_of(scanned)};
    });
  }
  ScanReport scanned;
  Working working("scanning");
  for (const auto& path : *paths) {
    for (auto& file : scan_one(path)) scanned.add(std::move(file), options.policy);
  }
  working.stop();
  print_all(scanned, options);
  return code_of(scanned);
}

}  // namespace

void add_scan(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->paths.add_to(
      command, "PATH",
      "Files, folders with everything in them, repositories of the Hub and addresses; - is "
      "standard input");
  command.option(
      "--allow", options->policy.allow, "GLOB",
      "Accept files whose path or name matches, and globals whose name matches (* and ?)");
  command.choice<ScanFailOn>("--fail-on", options->policy.fail_on,
                             {{"dangerous", ScanFailOn::kDangerous},
                              {"unknown", ScanFailOn::kUnknown},
                              {"any", ScanFailOn::kAny}},
                             "The least severity that fails the scan; any includes training state "
                             "(default: unknown)");
  command.flag("-q,--quiet", options->quiet, "Print only what fails the scan");
  options->fleet.add_to(command);
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
