// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <torch/nn/pimpl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/adaptable.hpp"

namespace ferrule::torch {

/// A model, however its owner holds it: by value, in a shared_ptr, or in a ModuleHolder.
class Model {
 public:
  Model(::torch::nn::Module& module) : module_(&module) {}
  template <typename Impl>
  Model(const std::shared_ptr<Impl>& module) : module_(module.get()) {}
  template <typename Impl>
  Model(const ::torch::nn::ModuleHolder<Impl>& holder) : module_(holder.ptr().get()) {}

  ::torch::nn::Module& module() const noexcept { return *module_; }

 private:
  ::torch::nn::Module* module_;
};

namespace detail {

/// A module of a model and its path; what hangs on adapted modules is left out.
struct ModulePlace {
  std::string path;
  Module* module;
  /// nullptr if the module cannot carry anything.
  Adaptable* adaptable;
};

inline void walk(Module& module, const std::string& path, std::set<const Module*>& seen,
                 std::vector<ModulePlace>& places) {
  if (!seen.insert(&module).second) return;
  auto* adaptable = dynamic_cast<Adaptable*>(&module);
  places.push_back({path, &module, adaptable});
  if (adaptable != nullptr && (adaptable->is_adapted() || adaptable->is_saved_whole())) return;
  for (const auto& child : module.named_children()) {
    walk(*child.value(), path.empty() ? child.key() : path + "." + child.key(), seen, places);
  }
}

/// Every module, as PEFT's named_modules: parents first, a shared one once, under its first name.
inline std::vector<ModulePlace> places_of(const Model& model) {
  std::vector<ModulePlace> places;
  std::set<const Module*> seen;
  walk(model.module(), {}, seen, places);
  return places;
}

/// The adapters of a model, found on its layers.
struct Adapters {
  std::map<std::string, std::shared_ptr<const AdapterConfig>, std::less<>> configs;
  std::vector<std::string> active;

  std::string names() const {
    std::vector<std::string> names;
    for (const auto& [name, config] : configs) names.push_back(name);
    return names.empty() ? "none" : name_list(names);
  }
};

inline Adapters adapters_of(const std::vector<ModulePlace>& places) {
  Adapters adapters;
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
    const AdaptableAccess access(*place.adaptable);
    for (const auto& update : access.updates()) {
      adapters.configs.emplace(update->adapter(), update->config());
    }
    adapters.active = access.active();
  }
  return adapters;
}

inline Result<void> check_known(const Adapters& adapters, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (adapters.configs.contains(name)) continue;
    return refuse(ErrorCode::kInvalidArgument, "LT-5",
                  "the model has no adapter " + quote(name) + "; it has " + adapters.names());
  }
  return {};
}

}  // namespace detail
}  // namespace ferrule::torch
