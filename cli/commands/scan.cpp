// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <vector>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "exit_code.hpp"
#include "ferrule/pickle_scan.hpp"
#include "ferrule/text.hpp"
#include "print/findings.hpp"
#include "print/json.hpp"
#include "print/text.hpp"
#include "terminal.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::vector<std::string> paths;
  bool json = false;
};

/// Hits that are printed for one file; all of them stand in the JSON.
constexpr std::size_t kShown = 20;

std::string place(const ScannedFile& file, const std::string& entry) {
  return printable(file.path.string()) + (entry.empty() ? "" : "!" + printable(entry));
}

void show(const ScannedFile& file) {
  if (file.system_error) return report(*file.system_error);
  std::size_t shown = 0;
  for (const auto& hit : file.hits) {
    if (shown++ == kShown) break;
    print(Stream::kOut, place(file, hit.entry) + ": offset " + std::to_string(hit.offset) + ": " +
                            colored(Stream::kOut, Color::kRed, hit.opcode) + " " + hit.why + "\n");
  }
  if (file.hits.size() > kShown) {
    print(Stream::kOut,
          place(file, {}) + ": and " + grouped(file.hits.size() - kShown) + " more, see --json\n");
  }
  for (const auto& gap : file.gaps) {
    print(Stream::kOut, place(file, gap.entry) + ": " +
                            colored(Stream::kOut, Color::kYellow, "not read to its end") + ": " +
                            (gap.rule.empty() ? "" : "[" + gap.rule + "] ") + gap.message + "\n");
  }
}

Json to_json(const ScannedFile& file) {
  Json::Array hits;
  for (const auto& hit : file.hits) {
    hits.push_back(Json::Object{{"entry", hit.entry},
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
                      {"harmless", file.harmless()},
                      {"pickles", number(file.pickles)},
                      {"would_run", std::move(hits)},
                      {"not_read", std::move(gaps)},
                      {"error", file.system_error ? cli::to_json(*file.system_error) : Json()}};
}

int run(const Options& options) {
  std::vector<ScannedFile> files;
  int code = kGood;
  for (const auto& path : options.paths) {
    auto scanned = scan(path, {.threads = 0});
    if (!scanned) {
      ScannedFile failed;
      failed.path = path;
      failed.system_error = scanned.error();
      files.push_back(std::move(failed));
      continue;
    }
    for (auto& file : *scanned) files.push_back(std::move(file));
  }
  std::uint64_t pickles = 0;
  std::uint64_t harmful = 0;
  bool system = false;
  Json::Array documents;
  for (const auto& file : files) {
    pickles += file.pickles;
    if (file.system_error) system = true;
    if (!file.hits.empty() || !file.gaps.empty()) ++harmful;
    if (options.json) {
      documents.push_back(to_json(file));
      if (file.system_error) report(*file.system_error);
    } else {
      show(file);
    }
  }
  if (harmful != 0) code = kBad;
  // What could not be looked at outweighs what was found: nobody may take 1 for the whole answer.
  if (system) code = kSystem;
  if (options.json) {
    print_document({{"files", std::move(documents)}});
  } else {
    std::string line = counted(files.size(), "file") + ", " + counted(pickles, "pickle") + ": ";
    if (harmful != 0) {
      line += counted(harmful, "file") + " would run code or could not be read to the end";
    } else {
      line += system ? "nothing found that would run" : "nothing would run";
    }
    if (system) line += "; not everything could be opened";
    print(Stream::kOut, line + "\n");
  }
  return code;
}

}  // namespace

void add_scan(Arguments& command) {
  auto options = std::make_shared<Options>();
  command.positional("PATH", options->paths, "Files, and folders with everything in them")
      .required();
  add_json(command, options->json);
  command.about(
      R"(Reads pickles as data and lists what unpickling them would import or call, unless it is on
the list of what a state dict needs. Looks into zip archives; files compressed in
another way are reported as not read.

Examples:
  ferrule scan adapter_model.bin
  ferrule scan ~/.cache/huggingface/hub --json)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
