// SPDX-License-Identifier: Apache-2.0
#include "ferrule/inspect.hpp"

#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/options.hpp"
#include "commands/place.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/exchange.hpp"
#include "print/failure.hpp"
#include "print/findings.hpp"
#include "print/inspect_report.hpp"
#include "print/progress.hpp"
#include "print/text.hpp"

namespace ferrule::cli {
namespace {

struct Options {
  std::string path;
  OpenOptions open;
  ReportOptions report;
};

int inspect_file(const Options& options) {
  const auto file = inspect_container(options.path, options.open);
  if (!file) return fail(file.error(), options.report.json);
  print_file(*file, options.report);
  return kGood;
}

int inspect_adapter(const Options& options) {
  ExchangeOptions any{.open = options.open};
  any.open.allow_errors = true;
  const auto adapter = open_any(options.path, any);
  if (!adapter) return fail(adapter.error(), options.report.json);
  print_adapter(*adapter, options.report);
  const auto findings = adapter->findings();
  if (!options.report.json) report(findings);
  return has_error(findings) ? kBad : kGood;
}

int inspect_many(const Options& options) {
  ProgressLine line;
  FolderOptions folder;
  folder.threads = 0;
  folder.open = options.open;
  folder.progress = [&](std::uint64_t adapters) { line.show(counted(adapters, "adapter")); };
  const auto summary = inspect_folder(options.path, folder);
  line.clear();
  if (!summary) return fail(summary.error(), options.report.json);
  if (summary->adapters.empty()) {
    // Without adapters it may be a checkpoint of several files.
    const auto checkpoint = inspect_container(options.path, options.open);
    if (!checkpoint) return fail(checkpoint.error(), options.report.json);
    print_file(*checkpoint, options.report);
    return kGood;
  }
  print_folder(*summary, options.path, options.report);
  bool system_failed = !summary->unreadable.empty();
  for (const auto& adapter : summary->adapters) system_failed |= adapter.system_error.has_value();
  if (system_failed) return kSystem;
  return summary->bad() > 0 ? kBad : kGood;
}

int run(const Options& given) {
  auto options = given;
  const auto place = Place::of_adapter(given.path, true);
  if (!place) return fail_place(place.error(), options.report.json);
  options.path = place->path().string();
  const auto kind = path_kind(options.path);
  if (!kind) return fail(kind.error(), options.report.json);
  switch (*kind) {
    case PathKind::kFile:
      return inspect_file(options);
    case PathKind::kAdapter:
      return inspect_adapter(options);
    case PathKind::kFolder:
      return inspect_many(options);
  }
  return kSystem;
}

}  // namespace

void add_inspect(Arguments& command) {
  auto options = std::make_shared<Options>();
  command
      .positional("PATH", options->path,
                  "An adapter (also on the Hub), one file, or a folder of adapters")
      .required();
  command.flag("--tensors", options->report.tensors, "List every tensor");
  add_torch_key(command, options->open);
  add_json(command, options->report.json);
  command.about(
      R"(Only headers and configs are read. A folder is searched to the bottom, in parallel.

Examples:
  ferrule inspect my-adapter
  ferrule inspect model.safetensors --tensors
  ferrule inspect adapters/ --json)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
