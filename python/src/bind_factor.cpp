// SPDX-License-Identifier: Apache-2.0
// combine, resize, extract and to_lora: the documents of the command's --json.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/combine.hpp"
#include "ferrule/extract.hpp"
#include "ferrule/report_json.hpp"
#include "ferrule/resize.hpp"
#include "ferrule/spectrum_report.hpp"
#include "ferrule/text_file.hpp"
#include "ferrule/to_lora.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "remote_path.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Count = std::optional<std::uint64_t>;
using Real = std::optional<double>;

CombineMethod method_of(const std::string& name) {
  std::string all;
  for (std::size_t i = 0; i < combine_method_names().size(); ++i) {
    if (combine_method_names()[i] == name) return static_cast<CombineMethod>(i);
    all += (i == 0 ? "\"" : ", \"") + std::string(combine_method_names()[i]) + "\"";
  }
  wrong_value("method", all.c_str(), name);
}

/// Where the page of HTML goes; empty if it is not wanted.
std::filesystem::path page_of(nb::handle page) {
  return page.is_none() ? std::filesystem::path() : path_of(page, "report");
}

/// The document; writes the page.
template <typename Report>
nb::object reported(const Report& report, const std::filesystem::path& output,
                    const std::filesystem::path& page) {
  if (!page.empty()) {
    value_or_raise(write_text_file(page, spectrum_report(report.modules, output.string())));
  }
  return document_of(to_json(report, output));
}

nb::object combine_document(nb::list adapters, nb::handle output, nb::handle method,
                            const std::vector<double>& weights, Count rank, Real density,
                            std::uint64_t seed, nb::handle page, unsigned threads,
                            nb::handle torch_key, nb::handle durability, nb::handle tick) {
  std::vector<LocalPath> places;
  std::vector<std::filesystem::path> paths;
  for (const auto& adapter : adapters) {
    places.push_back(local_path_of(adapter, "adapters", false));
    paths.push_back(places.back().path);
  }
  const auto where = path_of(output, "output");
  const auto html = page_of(page);
  CombineOptions options;
  options.method = method_of(str_of(method, "method"));
  options.weights = weights;
  options.rank = rank;
  options.density = density;
  options.seed = seed;
  options.threads = threads;
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report =
      value_or_raise(long_write([&] { return combine(paths, where, options); }, tick));
  return reported(report, where, html);
}

nb::object resize_document(nb::handle adapter, nb::handle output, Count rank, Real energy,
                           Real max_error, Count budget, nb::handle page, unsigned threads,
                           nb::handle torch_key, nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  const auto html = page_of(page);
  ResizeOptions options;
  options.rank = rank;
  options.energy = energy;
  options.max_error = max_error;
  options.budget = budget;
  options.threads = threads;
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report =
      value_or_raise(long_write([&] { return resize(from.path, where, options); }, tick));
  return reported(report, where, html);
}

nb::object extract_document(nb::handle base, nb::handle tuned, nb::handle output,
                            std::uint64_t rank, Real energy, bool full_modules, nb::handle page,
                            unsigned threads, nb::handle durability, nb::handle tick) {
  const auto before = path_of(base, "base");
  const auto after = path_of(tuned, "tuned");
  const auto where = path_of(output, "output");
  const auto html = page_of(page);
  ExtractOptions options;
  options.rank = rank;
  options.energy = energy;
  options.others = full_modules ? OtherTensors::kKeep : OtherTensors::kReport;
  options.threads = threads;
  options.durability = durability_of(str_of(durability, "durability"));
  const auto report =
      value_or_raise(long_write([&] { return extract(before, after, where, options); }, tick));
  return reported(report, where, html);
}

nb::object to_lora_document(nb::handle adapter, nb::handle output, Count rank, Real max_error,
                            nb::handle base, nb::handle page, unsigned threads,
                            nb::handle torch_key, nb::handle durability, nb::handle tick) {
  const auto from = local_path_of(adapter, "adapter", false);
  const auto where = path_of(output, "output");
  const auto html = page_of(page);
  ToLoraOptions options;
  options.rank = rank;
  options.max_error = max_error;
  if (!base.is_none()) options.base = path_of(base, "base");
  options.threads = threads;
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report =
      value_or_raise(long_write([&] { return to_lora(from.path, where, options); }, tick));
  return reported(report, where, html);
}

constexpr const char* kDocument = "The document of the command's --json.";

}  // namespace

void bind_factor(nb::module_& module) {
  module.def("combine", &combine_document, "adapters"_a, "output"_a.none(), "method"_a.none(),
             "weights"_a, "rank"_a.none(), "density"_a.none(), "seed"_a, "report"_a.none(),
             "threads"_a, "torch_key"_a.none(), "durability"_a.none(), "tick"_a.none(), kDocument);
  module.def("resize", &resize_document, "adapter"_a.none(), "output"_a.none(), "rank"_a.none(),
             "energy"_a.none(), "max_error"_a.none(), "budget"_a.none(), "report"_a.none(),
             "threads"_a, "torch_key"_a.none(), "durability"_a.none(), "tick"_a.none(), kDocument);
  module.def("extract", &extract_document, "base"_a.none(), "tuned"_a.none(), "output"_a.none(),
             "rank"_a, "energy"_a.none(), "full_modules"_a, "report"_a.none(), "threads"_a,
             "durability"_a.none(), "tick"_a.none(), kDocument);
  module.def("to_lora", &to_lora_document, "adapter"_a.none(), "output"_a.none(), "rank"_a.none(),
             "max_error"_a.none(), "base"_a.none(), "report"_a.none(), "threads"_a,
             "torch_key"_a.none(), "durability"_a.none(), "tick"_a.none(), kDocument);
}

}  // namespace ferrule::python
