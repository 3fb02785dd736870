// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "ferrule/torch/injection.hpp"

namespace ferrule::libtorch::detail {

/// The base is frozen, except for the biases that `bias` asks for.
inline void freeze_base(const Places& places, Module& model, const AdapterConfig& config) {
  for (const auto& place : places) {
    auto* adaptable = place.adaptable;
    if (adaptable != nullptr && (adaptable->is_adapted() || adaptable->is_saved_whole())) {
      const AdaptableAccess access(*adaptable);
      if (auto* base = access.base_layer()) set_requires_grad(*base->module(), false);
      continue;
    }
    for (auto& parameter : place.module->parameters(false)) {
      if (parameter.is_leaf()) parameter.set_requires_grad(false);
    }
  }
  const auto bias = config.bias();
  if (bias == "all") {
    for (const auto& parameter : model.named_parameters()) {
      const auto& name = parameter.key();
      if (name == "bias" || name.ends_with(".bias")) parameter.value().set_requires_grad(true);
    }
    for (const auto& place : places) {
      if (place.adaptable == nullptr || !place.adaptable->is_saved_whole()) continue;
      // The copy is trained in its place.
      set_requires_grad(*AdaptableAccess(*place.adaptable).original(), false);
    }
  } else if (bias != "none") {
    for (const auto& place : places) {
      if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
      const auto layer_bias = AdaptableAccess(*place.adaptable).base_layer()->bias();
      if (layer_bias.defined()) layer_bias.set_requires_grad(true);
    }
  }
}

/// Hangs a plan into its model. The first adapter becomes active and freezes the base; a later one
/// changes nothing about what is trained.
inline void commit(Plan plan, Module& model, bool trainable) {
  const bool first = adapters_of(places_of(model)).configs.empty();
  const auto active = first ? std::vector{plan.name} : adapters_of(places_of(model)).active;
  for (auto& item : plan.items) {
    const bool fresh = !item.place->is_adapted();
    AdaptableAccess access(*item.place);
    access.attach(std::move(item.prepared));
    if (first || fresh) access.set_active(active, trainable && first);
  }
  for (auto& copy : plan.copies) {
    AdaptableAccess(*copy.place).attach_copy(plan.name, std::move(copy.module));
  }
  if (!first) return;
  freeze_base(places_of(model), model, *plan.config);
  for (auto& copy : plan.copies) {
    AdaptableAccess(*copy.place).set_active_copy(plan.name, trainable);
  }
}

}  // namespace ferrule::libtorch::detail
