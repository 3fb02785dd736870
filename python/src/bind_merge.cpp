// SPDX-License-Identifier: Apache-2.0
// merge and unmerge: the documents of the command's --json.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/merge.hpp"
#include "ferrule/report_json.hpp"
#include "json_value.hpp"
#include "long_call.hpp"
#include "remote_path.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

MergeRounding rounding_of(const std::string& name) {
  if (name == "peft") return MergeRounding::kPeft;
  if (name == "once") return MergeRounding::kOnce;
  wrong_value("rounding", R"("peft" or "once")", name);
}

MergeDtype merge_dtype_of(const std::string& name) {
  if (name == "keep") return MergeDtype::kKeep;
  if (name == "f32") return MergeDtype::kF32;
  if (name == "bf16") return MergeDtype::kBF16;
  if (name == "f16") return MergeDtype::kF16;
  wrong_value("dtype", R"("keep", "f32", "bf16" or "f16")", name);
}

nb::object merge_document(bool undo, nb::list adapters, nb::handle base, nb::handle output,
                          const std::vector<double>& weights, nb::handle rounding, nb::handle dtype,
                          unsigned threads, bool copy, bool in_place, bool resume,
                          nb::handle torch_key, nb::handle durability, nb::handle tick) {
  if (!weights.empty() && weights.size() != nb::len(adapters)) {
    wrong_value("weights", "one for each adapter", std::to_string(weights.size()) + " of them");
  }
  std::vector<LocalPath> places;
  std::vector<MergeSource> sources;
  for (const auto& adapter : adapters) {
    places.push_back(local_path_of(adapter, "adapters", false));
    sources.push_back(
        {.adapter = places.back().path, .weight = weights.empty() ? 1 : weights[sources.size()]});
  }
  const auto model = path_of(base, "base");
  const auto where = path_of(output, "output");
  MergeOptions options;
  options.rounding = rounding_of(str_of(rounding, "rounding"));
  options.dtype = merge_dtype_of(str_of(dtype, "dtype"));
  options.sharing = copy ? MergeSharing::kCopy : MergeSharing::kLink;
  options.place = in_place ? MergePlace::kInPlace : MergePlace::kNew;
  options.start = resume ? MergeStart::kResume : MergeStart::kFresh;
  options.threads = threads;
  options.durability = durability_of(str_of(durability, "durability"));
  options.open.torch_key = str_of(torch_key, "torch_key");
  const auto report = value_or_raise(long_write(
      [&] {
        return undo ? unmerge(sources, model, where, options)
                    : merge(sources, model, where, options);
      },
      tick));
  return document_of(to_json(report, where));
}

}  // namespace

void bind_merge(nb::module_& module) {
  module.def("merge", &merge_document, "undo"_a, "adapters"_a, "base"_a.none(), "output"_a.none(),
             "weights"_a, "rounding"_a.none(), "dtype"_a.none(), "threads"_a, "copy"_a,
             "in_place"_a, "resume"_a, "torch_key"_a.none(), "durability"_a.none(), "tick"_a.none(),
             "The document of the command's --json.");
}

}  // namespace ferrule::python
