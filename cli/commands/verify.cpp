// SPDX-License-Identifier: Apache-2.0
#include "ferrule/verify.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "ferrule/text.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "terminal.hpp"
#ifdef FERRULE_HAS_HUB
#include "print/hub_report.hpp"
#endif

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  OpenOptions open;
  bool json = false;
};

int code_of(const VerifyReport& report, const std::string& path) {
  if (report.system_error) return exit_code(*report.system_error, path);
  return report.good() ? kGood : kBad;
}

void print_human(const VerifyReport& verdict, const std::string& path) {
  report(verdict.findings);
  if (verdict.system_error) report(*verdict.system_error);
  if (verdict.good()) {
    print(Stream::kOut,
          printable(path) + ": " + colored(Stream::kOut, Color::kGreen, "good") + "\n");
  }
}

Json to_json(const VerifyReport& report, const std::string& path) {
  return Json::Object{{"path", path},
                      {"good", report.good()},
                      {"findings", cli::to_json(report.findings)},
                      {"error", report.system_error ? cli::to_json(*report.system_error) : Json()}};
}

int run(const Options& options) {
  int worst = kGood;
  Json::Array results;
  for (const auto& path : options.paths) {
    std::string place = path;
#ifdef FERRULE_HAS_HUB
    RemotePath remote;
    if (const int failed = remote.open(place, false, options.json)) return failed;
#endif
    const auto verdict = verify(place, options.open);
    worst = std::max(worst, code_of(verdict, place));
    if (options.json) {
      results.push_back(to_json(verdict, path));
    } else {
      print_human(verdict, path);
    }
  }
  if (options.json) print_document({{"good", worst == kGood}, {"paths", std::move(results)}});
  return worst;
}

}  // namespace

void add_verify(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("PATH", options->paths, "Directories of adapters, and single files")
      .required();
  add_torch_key(command, options->open);
  add_json(command, options->json);
  command.about(
      R"(A directory is verified as an adapter, a single file as a container. Good paths are
listed on standard output, findings are printed on standard error.
The exit status is the worst of all paths: 3 the system refused, 1 bad, 0 good.

Examples:
  ferrule verify my-adapter
  ferrule verify adapters/*/ --json
  ferrule verify download.safetensors && mv download.safetensors store/)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
