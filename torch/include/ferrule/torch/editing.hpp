// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/switching.hpp"

namespace ferrule::libtorch {

/// The parameters that require gradients, each once and in the order of the model: what an
/// optimizer is made of. Empty for a null model.
inline std::vector<::at::Tensor> trainable_parameters(const ModelRef& model) {
  std::vector<::at::Tensor> trainable;
  if (!model.obstacle().empty()) return trainable;
  std::set<const void*> seen;
  for (const auto& parameter : model.module().parameters()) {
    if (parameter.requires_grad() && seen.insert(parameter.unsafeGetTensorImpl()).second) {
      trainable.push_back(parameter);
    }
  }
  return trainable;
}

namespace detail {

inline Error merged_already(const std::string& name, const std::string& path, const char* what) {
  return refuse(ErrorCode::kInvalidArgument, "LT-10",
                "adapter " + quote(name) + " is merged into " + quote(path) +
                    ": call unmerge_adapter() before you " + what);
}

/// Whether anything of the active adapters requires gradients.
inline bool is_training_adapters(const Places& places) {
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_changed()) continue;
    const AdaptableAccess access(*place.adaptable);
    for (const auto& name : access.active()) {
      auto* update = access.find(name);
      if (update != nullptr && update->slots().front().tensor->requires_grad()) return true;
    }
    if (!access.active_copy()) continue;
    for (const auto& parameter : access.copies().at(*access.active_copy())->parameters()) {
      if (parameter.requires_grad()) return true;
    }
  }
  return false;
}

inline Result<void> check_not_merged(const Places& places, const std::string& name,
                                     const char* what) {
  for (const auto& place : places) {
    if (place.adaptable == nullptr) continue;
    const auto& merged = AdaptableAccess(*place.adaptable).merged();
    if (std::find(merged.begin(), merged.end(), name) != merged.end()) {
      return merged_already(name, place.path, what);
    }
  }
  return {};
}

}  // namespace detail

/// Takes an adapter out of a model. If it was active, the other active ones stay so; without any,
/// the first that is left becomes active, as in PEFT. Layers that carry no adapter any more are
/// plain again: they can be cloned, and have the names of the base. Optimizers keep the tensors
/// that they were given. Fails, with the model as it was, with kInvalidArgument: LT-5, LT-10 (it is
/// merged).
inline Result<void> delete_adapter(const ModelRef& model, const std::string& name) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    auto adapters = detail::adapters_of(places);
    if (auto known = detail::check_known(adapters, {name}); !known) return known;
    if (auto ok = detail::check_not_merged(places, name, "delete it"); !ok) return ok;
    const bool trains = detail::is_training_adapters(places);
    const bool was_active = std::erase(adapters.active, name) > 0;
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      AdaptableAccess access(*place.adaptable);
      if (access.find(name) != nullptr) access.detach(name);
      access.detach_copy(name);
    }
    adapters.configs.erase(name);
    if (!was_active || adapters.configs.empty()) return {};
    if (adapters.active.empty()) adapters.active.push_back(adapters.configs.begin()->first);
    return set_adapter(model, adapters.active, !trains);
  });
}

/// Merges the active adapters (or those named) and makes the model plain: the names, classes and
/// values of a base model that was trained so, ready to be saved, cloned or given an adapter. What
/// modules_to_save trained takes the place of the original. A tied weight that was changed on one
/// side is not tied any more. Fails, with the model as it was, as merge_adapter().
inline Result<void> merge_and_unload(const ModelRef& model, const MergeOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    if (!options.adapter_names.empty()) {
      for (const auto& place : places) {
        if (place.adaptable == nullptr || !place.adaptable->is_saved_whole()) continue;
        if (auto copy = detail::copy_for(place, options.adapter_names); !copy) {
          return std::move(copy).error();
        }
      }
    }
    if (auto merged = merge_adapter(model, options); !merged) return merged;
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      AdaptableAccess access(*place.adaptable);
      if (place.adaptable->is_saved_whole() && !options.adapter_names.empty()) {
        access.set_active_copy(detail::copy_for(place, options.adapter_names).value(), false);
      }
      access.unload();
      access.unload_copies();
    }
    return {};
  });
}

/// Multiplies the update of an adapter with `factor`, relative to what its config says: 1 is that
/// again. A save writes the alphas that give the factors. Fails with kInvalidArgument: LT-5, LT-10
/// (it is merged), LT-15.
inline Result<void> set_scale(const ModelRef& model, const std::string& name, double factor) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    if (auto known = detail::check_known(adapters, {name}); !known) return known;
    if (!std::isfinite(factor)) {
      return detail::refuse(ErrorCode::kInvalidArgument, "LT-15", "a scale must be finite");
    }
    if (auto ok = detail::check_not_merged(places, name, "scale it"); !ok) return ok;
    bool scaled = false;
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      auto* update = AdaptableAccess(*place.adaptable).find(name);
      if (update == nullptr || !update->has_scaling()) continue;
      update->set_scaling(factor * update->initial_scaling());
      scaled = true;
    }
    if (scaled) return {};
    return detail::refuse(ErrorCode::kInvalidArgument, "LT-15",
                          "adapter " + quote(name) + " is of type " +
                              adapters.configs.find(name)->second->peft_type() +
                              ", which has no factor to scale");
  });
}

}  // namespace ferrule::libtorch
