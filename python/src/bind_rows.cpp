// SPDX-License-Identifier: Apache-2.0
// Many items in one call, for ferrule.ray: whatever is good at once, as one row of a table each.
// What is not good is None: the caller asks again for that item alone, and gets its own words.
#include <nanobind/nanobind.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "adapter_objects.hpp"
#include "arguments.hpp"
#include "bindings.hpp"
#include "ferrule/check.hpp"
#include "ferrule/content_id.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/verify.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

namespace fs = std::filesystem;

struct Row {
  Json findings;
  /// The document, as text.
  std::string report;
  /// The verb's own columns.
  std::vector<Json> own;
};

Row row_of(Json::Object document, std::vector<Json> own) {
  Json findings;
  for (const auto& [name, value] : document) {
    if (name == "findings") findings = value;
  }
  return {std::move(findings), Json(std::move(document)).dump(), std::move(own)};
}

/// `answer` for each path, several at once. It must not throw, nor use anything of Python.
template <typename Answer>
std::vector<std::optional<Row>> answer_all(const std::vector<fs::path>& paths, unsigned threads,
                                           const Answer& answer) {
  std::vector<std::optional<Row>> rows(paths.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (auto i = next++; i < paths.size(); i = next++) rows[i] = answer(paths[i]);
  };
  std::vector<std::thread> workers;
  try {
    for (unsigned i = 1; i < std::min<std::size_t>(threads, paths.size()); ++i) {
      workers.emplace_back(work);
    }
  } catch (const std::system_error&) {
    // Those that there are do the work.
  }
  work();
  for (auto& worker : workers) worker.join();
  return rows;
}

/// A list of None and of (findings, report, the verb's own columns ...).
template <typename Answer>
nb::list rows_of(nb::handle paths, unsigned threads, Answer answer) {
  std::vector<fs::path> places;
  for (const nb::handle path : nb::iter(paths)) places.push_back(path_of(path, "path"));
  const auto rows = long_read([places = std::move(places), threads, answer = std::move(answer)] {
    return answer_all(places, threads, answer);
  });
  nb::list out;
  for (const auto& row : rows) {
    if (!row) {
      out.append(nb::none());
      continue;
    }
    nb::list values;
    values.append(from_json(row->findings));
    values.append(to_str(row->report));
    for (const auto& value : row->own) values.append(from_json(value));
    out.append(nb::tuple(values));
  }
  return out;
}

nb::list verify_rows(nb::handle paths, bool values, nb::handle torch_key, unsigned threads) {
  VerifyOptions options;
  options.open.torch_key = str_of(torch_key, "torch_key");
  options.values = values;
  options.threads = 1;
  return rows_of(paths, threads, [options](const fs::path& path) -> std::optional<Row> {
    const auto report = verify(path, options);
    if (!report.good()) return std::nullopt;
    return row_of(to_json(report, path), {report.verified, report.bad});
  });
}

nb::list check_rows(nb::handle paths, const OpenedBase& base, nb::handle engines, bool values,
                    bool allow_partial, unsigned threads) {
  CheckOptions options;
  options.values = values;
  options.allow_partial = allow_partial;
  options.engines = strs_of(engines, "engines");
  return rows_of(paths, threads,
                 [model = base.base, options](const fs::path& path) -> std::optional<Row> {
                   const auto adapter = Adapter::open(path);
                   if (!adapter) return std::nullopt;
                   const auto report = check(*adapter, *model, options);
                   if (!report || !report->good()) return std::nullopt;
                   auto document = to_json(*report);
                   const Json whole(document);
                   const auto* verdict = whole.find("verdict");
                   const auto* modules = whole.find("modules");
                   if (verdict == nullptr || modules == nullptr) return std::nullopt;
                   return row_of(std::move(document),
                                 {*verdict, *modules->find("matched"), *modules->find("total")});
                 });
}

nb::list content_id_rows(nb::handle paths, unsigned threads) {
  return rows_of(paths, threads, [](const fs::path& path) -> std::optional<Row> {
    const auto adapter = Adapter::open(path);
    if (!adapter) return std::nullopt;
    const auto id = content_id(*adapter, {.threads = 1});
    return Row{Json(), Json(Json::Object{{"id", id}}).dump(), {Json(id)}};
  });
}

}  // namespace

void bind_rows(nb::module_& module) {
  constexpr const char* kRows = "For each path a tuple of its row, or None if it is not good.";
  module.def("verify_rows", &verify_rows, "paths"_a, "values"_a, "torch_key"_a, "threads"_a, kRows);
  module.def("check_rows", &check_rows, "paths"_a, "base"_a, "engines"_a, "values"_a,
             "allow_partial"_a, "threads"_a, kRows);
  module.def("content_id_rows", &content_id_rows, "paths"_a, "threads"_a, kRows);
}

}  // namespace ferrule::python
