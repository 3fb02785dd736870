// SPDX-License-Identifier: Apache-2.0
#include "ferrule/verify.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/fleet.hpp"
#include "commands/options.hpp"
#include "commands/path_list.hpp"
#include "commands/place.hpp"
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
  VerifyOptions verify;
  bool quiet = false;
  bool list_all = false;
  Output output;
};

/// What all paths together came to.
struct Totals {
  int worst = kGood;
  std::uint64_t verified = 0;
  std::uint64_t bad = 0;
};

int code_of(const VerifyReport& report) {
  if (report.system_error) {
    return report.unreadable.size() == 1 && report.verified == 1 ? exit_code(*report.system_error)
                                                                 : kSystem;
  }
  return report.good() ? kGood : kBad;
}

/// "199 good, 3 bad of 202", for a folder.
std::string counts(std::uint64_t verified, std::uint64_t bad) {
  if (bad == 0) return grouped(verified) + " good";
  return grouped(verified - bad) + " good, " + grouped(bad) + " bad of " + grouped(verified);
}

void print_human(const VerifyReport& verdict, const std::string& path, const Options& options) {
  report(verdict.findings, options.list_all);
  for (const auto& error : verdict.unreadable) report(error);
  const bool is_folder = verdict.verified > 1;
  if (options.quiet || (!verdict.good() && !is_folder)) return;
  std::string text = printable(path) + ": ";
  if (verdict.good()) {
    text += colored(Stream::kOut, Color::kGreen, "good");
    if (is_folder) text += " (" + counted(verdict.verified, "adapter") + ")";
  } else {
    text += counts(verdict.verified, verdict.bad);
  }
  const auto unlisted = verdict.unreadable.size();
  if (is_folder && unlisted > 0) text += "; " + counted(unlisted, "path") + " could not be read";
  print(Stream::kOut, text + "\n");
}

int run_fleet(const Options& options, const std::vector<std::string>& paths) {
  auto settings = options.verify;
  settings.threads = 1;
  return options.fleet.run(paths, [&](const std::string& path) {
    const auto place = Place::of_adapter(path);
    if (!place) {
      return FleetAnswer{{{"error", place_error(place.error())}}, place_exit_code(place.error())};
    }
    const auto verdict = verify(place->path(), settings);
    return FleetAnswer{to_json(verdict, path), code_of(verdict)};
  });
}

int run(const Options& options) {
  const auto paths = options.paths.read(options.output.is_json());
  if (!paths) return paths.exit_code();
  if (options.fleet.is_wanted()) return run_fleet(options, *paths);
  Totals totals;
  std::vector<VerifyReport> verdicts;
  std::vector<Finding> findings;
  std::vector<Error> errors;
  ProgressLine line;
  auto settings = options.verify;
  settings.threads = 0;
  settings.progress = [&](std::uint64_t adapters) {
    line.show("verified " + counted(totals.verified + adapters, "adapter"));
  };
  for (const auto& path : *paths) {
    const auto place = Place::of_adapter(path);
    if (!place) return fail_place(place.error(), options.output.is_json());
    line.show("verifying " + printable(path));
    const auto verdict = verify(place->path(), settings);
    line.clear();
    totals.worst = std::max(totals.worst, code_of(verdict));
    totals.verified += verdict.verified;
    totals.bad += verdict.bad;
    if (options.output.is_json()) {
      verdicts.push_back(verdict);
    } else if (options.output.is_sarif()) {
      findings.insert(findings.end(), verdict.findings.begin(), verdict.findings.end());
      errors.insert(errors.end(), verdict.unreadable.begin(), verdict.unreadable.end());
    } else {
      print_human(verdict, path, options);
    }
  }
  if (options.output.is_sarif()) {
    print_sarif("verify", findings, errors);
  } else if (options.output.is_json()) {
    const std::vector<std::filesystem::path> given(paths->begin(), paths->end());
    print_document(to_json(verdicts, given));
  } else if (paths->size() > 1 && !options.quiet) {
    print(Stream::kOut, counts(totals.verified, totals.bad) + "\n");
  }
  return totals.worst;
}

std::string check_id(const std::string& id) {
  const bool is_id = id.size() == 64 && id.find_first_not_of("0123456789abcdef") == id.npos;
  return is_id ? std::string() : "expected the 64 hexadecimal digits that 'ferrule id' prints";
}

}  // namespace

void add_verify(Arguments& command) {
  auto options = std::make_shared<Options>();
  options->paths.add_to(command, "PATH", "Adapters, folders of adapters, and single files");
  command.flag("--values", options->verify.values,
               "Read every value too: NaN, Inf, an update that is all zeros");
  command.option("--id", options->verify.id, "HEX", "The content id that the adapter must have")
      .check(check_id);
  command.flag("-q,--quiet", options->quiet, "Print findings only");
  command.flag("--all", options->list_all, "List every finding instead of one line for each cause");
  add_torch_key(command, options->verify.open);
  options->fleet.add_to(command);
  add_output(command, options->output);
  command.about(
      R"(A directory is verified as an adapter, with the adapters in all folders below it; a single
file is verified as a container. Good paths are listed on standard output, findings are
printed on standard error. Only headers and configs are read, unless --values or --id is
given.
The exit status is the worst of all paths: 3 the system refused, 1 bad, 0 good.

Examples:
  ferrule verify my-adapter
  ferrule verify adapters/ -q
  ferrule verify my-adapter --values --id HEX
  ferrule verify download.safetensors && mv download.safetensors store/)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
