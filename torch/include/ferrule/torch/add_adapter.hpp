// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "ferrule/torch/add_report.hpp"

namespace ferrule::libtorch {

struct AddOptions {
  /// Adapters of a float16 or bfloat16 model are trained in float32.
  bool autocast_adapter_dtype = true;
  /// Path of the output embedding, which `all-linear` leaves out, "" for none. Without it, modules
  /// called lm_head or embed_out are taken for it.
  std::optional<std::string> output_embeddings = {};
};

/// Adds a new adapter to the layers of a model that the config targets, by PEFT's rules and with
/// its initializations. The first adapter becomes active: from then on only its parameters (and
/// what modules_to_save and `bias` ask for) require gradients. Later ones wait for set_adapter().
///
/// The config's `target_modules` decides: names, suffixes, a regular expression, or "all-linear".
/// Fails, with the model as it was, with kUnsupported (LT-1, LT-2, LT-4, LT-8), kInvalidArgument
/// (LT-3, LT-5, LT-6, LT-7, LT-13) or as ModuleTargets::compile does.
inline Result<AddReport> add_adapter(const ModelRef& model, const AdapterConfig& config,
                                     const std::string& name = "default",
                                     const AddOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<AddReport> {
    const auto places = detail::places_of(model);
    auto plan = detail::Planner(places, name, config,
                                {.purpose = detail::Purpose::kTrain,
                                 .autocast = options.autocast_adapter_dtype,
                                 .output_embeddings = options.output_embeddings})
                    .run();
    if (!plan) return std::move(plan).error();
    auto report = detail::summarize(*plan);
    detail::commit(*std::move(plan), model.module(), true);
    return report;
  });
}

}  // namespace ferrule::libtorch
