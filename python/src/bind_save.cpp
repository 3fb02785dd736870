// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "arguments.hpp"
#include "bindings.hpp"
#include "errors.hpp"
#include "ferrule/save_pretrained.hpp"
#include "snapshot.hpp"
#include "tensors_in.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

/// An adapter's name, the text of its config, and whether embeddings are saved with it.
using LiveConfig = std::tuple<std::string, std::string, bool>;

/// What a save needs in addition to the tensors: made and checked once, before anything is written.
struct SavePlan {
  std::vector<NamedConfig> configs;
  SaveOptions options;
};

SavePlan make_plan(const std::vector<LiveConfig>& configs, std::vector<std::string> selected,
                   std::string_view facts, bool safe_serialization,
                   std::optional<std::filesystem::path> initial, nb::handle card,
                   const std::string& durability) {
  SavePlan plan;
  for (const auto& [name, text, embeddings] : configs) {
    auto config = AdapterConfig::parse_live(text);
    if (!config) {
      auto error = config.error();
      error.message = "adapter " + name + ": " + error.message;
      raise(error);
    }
    plan.configs.push_back(
        {.name = name,
         .config = std::move(*config),
         .save_embedding_layers = embeddings ? SaveEmbeddings::kAlways : SaveEmbeddings::kNever});
  }
  plan.options.selected_adapters = std::move(selected);
  plan.options.format = safe_serialization ? WeightsFormat::kSafetensors : WeightsFormat::kBin;
  plan.options.facts = value_or_raise(ModelFacts::parse(facts));
  plan.options.initial = std::move(initial);
  plan.options.trust_initial = true;
  plan.options.threads = 0;
  plan.options.card = card_of(card);
  plan.options.durability = durability_of(durability);
  return plan;
}

nb::list finding_dicts(const std::vector<Finding>& findings) {
  nb::list out;
  for (const auto& finding : findings) {
    nb::dict item;
    item["severity"] = to_str(severity_name(finding.severity));
    item["rule"] = to_str(finding.rule);
    item["key"] = to_str(finding.key);
    item["message"] = to_str(finding.message);
    item["advice"] = to_str(finding.advice);
    out.append(item);
  }
  return out;
}

/// The findings. Runs without the GIL.
template <typename Source>
nb::list write(const SavePlan& plan, const Source& tensors,
               const std::filesystem::path& directory) {
  auto report = without_gil([&] { return save(tensors, plan.configs, directory, plan.options); });
  return finding_dicts(value_or_raise(std::move(report)).findings);
}

std::shared_ptr<Snapshot> take_snapshot(const LiveTensors& tensors) {
  auto snapshot = without_gil([&] { return Snapshot::of(tensors); });
  if (!snapshot) raise(ErrorCode::kLimitExceeded, "there is not enough memory for a snapshot");
  return snapshot;
}

}  // namespace

void bind_save(nb::module_& module) {
  nb::class_<Snapshot>(module, "Snapshot", "A copy of LiveTensors at one moment.")
      .def(nb::new_(&take_snapshot), "tensors"_a)
      .def("__len__", [](const Snapshot& self) { return self.tensors().size(); })
      .def_prop_ro("byte_count", &Snapshot::byte_count, "Bytes copied.");
  nb::class_<SavePlan>(module, "SavePlan", "What to save, checked.")
      .def(nb::new_(&make_plan), "configs"_a, "selected"_a, "facts"_a, "safe_serialization"_a,
           "initial"_a, "card"_a, "durability"_a)
      .def("write", &write<LiveTensors>, "tensors"_a, "directory"_a,
           "Saves, and returns the findings.")
      .def("write", &write<Snapshot>, "tensors"_a, "directory"_a);
}

}  // namespace ferrule::python
