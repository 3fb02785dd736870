// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/injection.hpp"

namespace ferrule::torch {

/// What was added.
struct AddReport {
  /// Paths of the modules that carry the adapter, in the order of the model.
  std::vector<std::string> modules;
  /// Paths of the modules that it trains as a whole.
  std::vector<std::string> modules_to_save;
  /// Numbers in the adapter's tensors, trained copies included.
  std::uint64_t parameters = 0;
  std::vector<Finding> findings;
};

struct AddOptions {
  /// Adapters of a float16 or bfloat16 model are trained in float32.
  bool autocast_adapter_dtype = true;
};

namespace detail {

inline AddReport summarize(const Plan& plan) {
  AddReport report;
  report.findings = plan.findings;
  for (const auto& item : plan.items) {
    report.modules.push_back(item.path);
    for (const auto& slot : item.prepared.update->slots()) {
      report.parameters += static_cast<std::uint64_t>(slot.tensor->numel());
    }
  }
  for (const auto& copy : plan.copies) {
    report.modules_to_save.push_back(copy.path);
    for (const auto& parameter : copy.module->parameters()) {
      report.parameters += static_cast<std::uint64_t>(parameter.numel());
    }
  }
  return report;
}

}  // namespace detail

/// Adds a new adapter to the layers of a model that the config targets, by PEFT's rules and with
/// its initializations. The first adapter becomes active: from then on only its parameters (and
/// what modules_to_save and `bias` ask for) require gradients. Later ones wait for set_adapter().
///
/// The config's `target_modules` decides: names, suffixes, a regular expression, or "all-linear".
/// Fails, with the model as it was, with kUnsupported (LT-1, LT-2, LT-4, LT-8), kInvalidArgument
/// (LT-3, LT-5, LT-6, LT-7) or as ModuleTargets::compile does.
inline Result<AddReport> add_adapter(const Model& model, const AdapterConfig& config,
                                     const std::string& name = "default",
                                     const AddOptions& options = {}) {
  return detail::guarded([&]() -> Result<AddReport> {
    const auto places = detail::places_of(model);
    auto plan = detail::Planner(places, name, config,
                                {.purpose = detail::Purpose::kTrain,
                                 .autocast = options.autocast_adapter_dtype})
                    .run();
    if (!plan) return std::move(plan).error();
    auto report = detail::summarize(*plan);
    detail::commit(*std::move(plan), model.module(), true);
    return report;
  });
}

}  // namespace ferrule::torch
