// SPDX-License-Identifier: Apache-2.0
#include "ferrule/inspect.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>

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
  std::string memo;
  OpenOptions open;
  Foreign foreign;
  ReportOptions report;
};

ExchangeOptions how_to_open(const Options& options) {
  auto how = foreign_options(options.foreign);
  how.open = options.open;
  return how;
}

int print_opened(const Adapter& adapter, const Options& options) {
  print_adapter(adapter, options.report);
  const auto findings = adapter.findings();
  if (!options.report.json) report(findings);
  return has_error(findings) ? kBad : kGood;
}

/// Another program's adapter at a path that is not an adapter of PEFT, and why it cannot be read as
/// one (its names may depend on a base): then its tensors are shown.
std::optional<Adapter> foreign_adapter(const Options& options) {
  const auto dialect = dialect_at(options.path, options.open);
  if (dialect.empty() || dialect == "peft") return std::nullopt;
  auto adapter = open_any(options.path, how_to_open(options));
  if (adapter) return std::move(adapter).value();
  if (!options.report.json) report(adapter.error());
  return std::nullopt;
}

int inspect_file(const Options& options) {
  if (const auto adapter = foreign_adapter(options)) return print_opened(*adapter, options);
  const auto file = inspect_container(options.path, options.open);
  if (!file) return fail(file.error(), options.report.json);
  print_file(*file, options.report);
  return kGood;
}

int inspect_adapter(const Options& options) {
  auto how = how_to_open(options);
  how.open.allow_errors = true;
  const auto adapter = open_any(options.path, how);
  if (!adapter) return fail(adapter.error(), options.report.json);
  return print_opened(*adapter, options);
}

int inspect_many(const Options& options) {
  ProgressLine line;
  FolderOptions folder;
  folder.threads = 0;
  folder.open = options.open;
  folder.memo = options.memo;
  folder.progress = [&](std::uint64_t adapters) { line.show(counted(adapters, "adapter")); };
  const auto summary = inspect_folder(options.path, folder);
  line.clear();
  if (!summary) return fail(summary.error(), options.report.json);
  if (summary->adapters.empty()) {
    if (const auto adapter = foreign_adapter(options)) return print_opened(*adapter, options);
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
  command.option("--memo", options->memo, "FILE",
                 "Of a folder: keep what was found in FILE, and read only adapters that have "
                 "changed since");
  add_foreign(command, options->foreign);
  add_torch_key(command, options->open);
  add_json(command, options->report.json);
  command.about(
      R"(Only headers and configs are read. A folder is searched to the bottom, in parallel.

Examples:
  ferrule inspect my-adapter
  ferrule inspect model.safetensors --tensors
  ferrule inspect adapters/ --json
  ferrule inspect adapters/ --memo ~/.cache/adapters.memo)");
  command.action([options] { return run(*options); });
}

}  // namespace ferrule::cli
