// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "command.hpp"
#include "ferrule/text.hpp"
#include "ferrule/verify.hpp"
#include "options.hpp"
#include "render.hpp"
#ifdef FERRULE_HAS_HUB
#include "hub_report.hpp"
#endif

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  OpenOptions open;
  bool json = false;
};

int judge(const VerifyReport& report, const std::string& path) {
  if (report.system_error) return exit_code(*report.system_error, path);
  return report.good() ? kGood : kBad;
}

void print_human(const VerifyReport& verdict, const std::string& path) {
  report(verdict.findings);
  if (verdict.system_error) report(*verdict.system_error);
  if (verdict.good()) {
    print(Stream::kOut,
          printable(path) + ": " + coloured(Stream::kOut, Colour::kGreen, "good") + "\n");
  }
}

Json to_json(const VerifyReport& report, const std::string& path) {
  Json json;
  json.set("path", path);
  json.set("good", report.good());
  json.set("findings", cli::to_json(report.findings));
  json.set("error", report.system_error ? cli::to_json(*report.system_error) : Json());
  return json;
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
    worst = std::max(worst, judge(verdict, place));
    if (options.json) {
      results.push_back(to_json(verdict, path));
    } else {
      print_human(verdict, path);
    }
  }
  if (options.json) {
    Json json;
    json.set("version", 1);
    json.set("good", worst == kGood);
    json.set("paths", std::move(results));
    print_json(json);
  }
  return worst;
}

}  // namespace

Action add_verify(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command
      .add_option("PATH", options->paths,
                  "A directory is judged as an adapter, a single file as a container")
      ->required()
      ->type_name("");
  add_torch_key(command, options->open);
  command.add_flag("--json", options->json, "Print the findings as JSON");
  command.footer(R"(Examples:
  ferrule verify my-adapter
  ferrule verify adapters/*/ --json
  ferrule verify download.safetensors && mv download.safetensors store/

Good paths are listed on standard output, findings stand on standard error.
Exit status: the worst of all paths (3 the system, 1 bad, 0 good).)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
