// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>

#include "ferrule/torch/model.hpp"

namespace ferrule::libtorch::detail {

/// The memory that more than one module of a model has as a parameter: tied weights. A layer's
/// weight counts even if only the member was assigned, and what is registered is another tensor.
inline std::set<const void*> shared_memory(const Places& places) {
  std::map<const void*, std::set<const Module*>> owners;
  const auto add = [&owners](const Tensor& tensor, const Module* module) {
    if (tensor.defined() && tensor.has_storage()) {
      owners[tensor.storage().unsafeGetStorageImpl()].insert(module);
    }
  };
  for (const auto& place : places) {
    for (const auto& entry : place.module->named_parameters()) {
      if (place.adaptable != nullptr || entry.key().find('.') == std::string::npos) {
        add(entry.value(), place.module);
      }
    }
    if (place.adaptable == nullptr || !place.adaptable->kind()) continue;
    const AdaptableAccess access(*place.adaptable);
    const auto peeked = place.adaptable->is_adapted() ? nullptr : access.peek_base();
    if (place.adaptable->is_saved_whole()) continue;
    add((peeked ? peeked.get() : access.base_layer())->weight(), place.module);
  }
  std::set<const void*> shared;
  for (const auto& [memory, modules] : owners) {
    if (modules.size() > 1) shared.insert(memory);
  }
  return shared;
}

}  // namespace ferrule::libtorch::detail
