// SPDX-License-Identifier: Apache-2.0
// inspect, verify and scan: each returns the document that the command prints with --json;
// ferrule/_verbs.py makes typed reports of them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/exchange.hpp"
#include "ferrule/report_json.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "remote_path.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

namespace fs = std::filesystem;

/// An adapter that cannot be opened is described too.
Json::Object adapter_document(const fs::path& path, ExchangeOptions options) {
  options.open.allow_errors = true;
  if (const auto adapter = open_any(path, options)) return to_json(*adapter, true);
  auto fields = to_json(inspect_adapter(path, options.open));
  fields.insert(fields.begin(), {"kind", "adapter"});
  return fields;
}

/// Another program's adapter at a path that is not an adapter of PEFT.
std::optional<Json::Object> foreign_document(const fs::path& path, const ExchangeOptions& options) {
  const auto dialect = dialect_at(path, options.open);
  if (dialect.empty() || dialect == "peft") return std::nullopt;
  if (const auto adapter = open_any(path, options)) return to_json(*adapter, true);
  return std::nullopt;
}

/// As the command does: a folder without adapters is read as a checkpoint.
Result<Json::Object> inspected(const fs::path& path, const ExchangeOptions& options,
                               const fs::path& memo) {
  const auto as_file = [&]() -> Result<Json::Object> {
    if (auto foreign = foreign_document(path, options)) return *std::move(foreign);
    const auto file = inspect_container(path, options.open);
    if (!file) return file.error();
    return to_json(*file, true);
  };
  const auto kind = path_kind(path);
  if (!kind) return kind.error();
  if (*kind == PathKind::kFile) return as_file();
  if (*kind == PathKind::kAdapter) return adapter_document(path, options);
  const auto folder =
      inspect_folder(path, {.threads = 0, .open = options.open, .progress = {}, .memo = memo});
  if (!folder) return folder.error();
  if (folder->adapters.empty()) return as_file();
  return to_json(*folder, path);
}

nb::object inspect_document(nb::handle path, nb::handle memo, nb::handle torch_key, nb::handle base,
                            nb::handle config, nb::handle tick) {
  ExchangeOptions options;
  options.open.torch_key = str_of(torch_key, "torch_key");
  if (!base.is_none()) options.base = path_of(base, "base");
  if (!config.is_none()) options.config = path_of(config, "config");
  const auto kept = memo.is_none() ? fs::path() : path_of(memo, "memo");
  auto report = long_read([where = local_path_of(path, "path", true), options,
                           kept] { return inspected(where.path, options, kept); },
                          tick);
  return document_of(value_or_raise(std::move(report)));
}

/// The places of a list of paths, and the paths as they were given.
struct Places {
  std::vector<fs::path> given;
  std::vector<LocalPath> local;
};

Places places_of(nb::handle paths, bool apart) {
  Places places;
  for (const nb::handle path : nb::iter(paths)) {
    places.given.push_back(path_of(path, "path"));
    places.local.push_back(apart ? apart_path_of(path, "path")
                                 : local_path_of(path, "path", false));
  }
  return places;
}

nb::object verify_document(nb::handle paths, bool values, nb::handle id, nb::handle backing,
                           nb::handle torch_key, nb::handle tick) {
  VerifyOptions options;
  options.open.backing = backing_of(str_of(backing, "backing"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  options.values = values;
  if (!id.is_none()) options.id = id_of(str_of(id, "id"));
  options.threads = 0;
  auto document = long_read(
      [places = places_of(paths, false), options] {
        std::vector<VerifyReport> reports;
        for (const auto& place : places.local) reports.push_back(verify(place.path, options));
        return to_json(reports, places.given);
      },
      tick);
  return document_of(std::move(document));
}

ScanFailOn fail_on_of(const std::string& value) {
  if (value == "dangerous") return ScanFailOn::kDangerous;
  if (value == "unknown") return ScanFailOn::kUnknown;
  if (value == "any") return ScanFailOn::kAny;
  wrong_value("fail_on", R"("dangerous", "unknown" or "any")", value);
}

/// One path, with the paths of a place elsewhere as they would be written.
void scan_place(const fs::path& given, const LocalPath& place, const ScanPolicy& policy,
                ScanReport& report) {
  auto files = scan(place.path, {.threads = 0});
  if (!files) {
    ScannedFile failed;
    failed.path = given;
    failed.system_error = files.error();
    return report.add(std::move(failed), policy);
  }
  for (auto& file : *files) {
    if (place.path != given) file.path = given / file.path.lexically_relative(place.path);
    report.add(std::move(file), policy);
  }
}

nb::object scan_document(nb::handle paths, nb::handle allow, nb::handle fail_on, nb::handle tick) {
  const ScanPolicy policy{.allow = strs_of(allow, "allow"),
                          .fail_on = fail_on_of(str_of(fail_on, "fail_on"))};
  auto report = long_read(
      [places = places_of(paths, true), policy] {
        ScanReport scanned;
        for (std::size_t i = 0; i < places.given.size(); ++i) {
          scan_place(places.given[i], places.local[i], policy, scanned);
        }
        return to_json(scanned);
      },
      tick);
  return document_of(std::move(report));
}

nb::object clean_document(nb::handle directory) {
  const auto where = path_of(directory, "directory");
  return document_of(to_json(value_or_raise(without_gil([&] { return clean(where); })), where));
}

}  // namespace

void bind_examine(nb::module_& module) {
  constexpr const char* kDocument = "The document of the command's --json.";
  module.def("inspect", &inspect_document, "path"_a.none(), "memo"_a.none(), "torch_key"_a.none(),
             "base"_a.none(), "config"_a.none(), "tick"_a.none(), kDocument);
  module.def("clean", &clean_document, "directory"_a.none(), kDocument);
  module.def("verify", &verify_document, "paths"_a, "values"_a, "id"_a.none(), "backing"_a.none(),
             "torch_key"_a.none(), "tick"_a.none(), kDocument);
  module.def("scan", &scan_document, "paths"_a, "allow"_a.none(), "fail_on"_a.none(),
             "tick"_a.none(), kDocument);
}

}  // namespace ferrule::python
