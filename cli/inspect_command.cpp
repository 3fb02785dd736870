// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <memory>
#include <string>

#include "command.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/inspect.hpp"
#include "inspect_report.hpp"
#include "options.hpp"
#include "render.hpp"
#ifdef FERRULE_HAS_HUB
#include "hub_report.hpp"
#endif

namespace ferrule::cli {
namespace {

struct Options {
  std::string path;
  OpenOptions open;
  ReportOptions report;
};

int fail(const Error& error, const Options& options) {
  report(error);
  if (options.report.json) print_json(Json::Object{{"version", 1}, {"error", to_json(error)}});
  return exit_code(error, options.path);
}

int inspect_file(const Options& options) {
  const auto file = inspect_container(options.path, options.open);
  if (!file) return fail(file.error(), options);
  print_file(*file, options.report);
  return kGood;
}

int inspect_adapter(const Options& options) {
  const auto adapter = Adapter::open(options.path, options.open);
  if (!adapter) return fail(adapter.error(), options);
  print_adapter(*adapter, options.report);
  const auto findings = adapter->findings();
  if (!options.report.json) report(findings);
  return has_error({findings.begin(), findings.end()}) ? kBad : kGood;
}

int inspect_many(const Options& options) {
  ProgressLine line;
  FolderOptions folder;
  folder.open = options.open;
  folder.progress = [&](std::uint64_t adapters) { line.show(counted(adapters, "adapter")); };
  const auto summary = inspect_folder(options.path, folder);
  line.clear();
  if (!summary) return fail(summary.error(), options);
  if (summary->adapters.empty()) {
    // Not a folder of adapters: perhaps one of a checkpoint.
    const auto checkpoint = inspect_container(options.path, options.open);
    if (!checkpoint) return fail(checkpoint.error(), options);
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
#ifdef FERRULE_HAS_HUB
  RemotePath remote;
  if (const int failed = remote.open(options.path, true, options.report.json)) return failed;
#endif
  const auto kind = path_kind(options.path);
  if (!kind) return fail(kind.error(), options);
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

Action add_inspect(CLI::App& command) {
  auto options = std::make_shared<Options>();
  command.add_option("PATH", options->path, "An adapter, one file, or a folder of thousands")
      ->required()
      ->type_name("");
  command.add_flag("--tensors", options->report.tensors, "List every tensor");
  add_torch_key(command, options->open);
  command.add_flag("--json", options->report.json, "Print as JSON (docs/cli.md)");
  command.footer(R"(Examples:
  ferrule inspect my-adapter
  ferrule inspect model.safetensors --tensors
  ferrule inspect adapters/ --json)");
  return [options] { return run(*options); };
}

}  // namespace ferrule::cli
