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

#include "ferrule/torch/adaptable_access.hpp"

namespace torch::jit {
struct Module;
}

namespace ferrule::libtorch {

/// A model, however its owner holds it: by value, in a shared_ptr, or in a ModuleHolder. Null
/// pointers and empty holders can be passed, and are refused by every function (LT-13).
class ModelRef {
 public:
  ModelRef(::torch::nn::Module& module) : module_(&module) {}
  template <typename Impl>
  ModelRef(const std::shared_ptr<Impl>& module) : module_(module.get()) {}
  template <typename Impl>
  ModelRef(const ::torch::nn::ModuleHolder<Impl>& holder)
      : module_(holder.is_empty() ? nullptr : holder.ptr().get()) {}
  /// TorchScript runs its own code, which cannot be changed from here: refused (LT-13).
  ModelRef(const ::torch::jit::Module&) : is_script_(true) {}

  /// Not for a model that obstacle() says something about.
  ::torch::nn::Module& module() const noexcept { return *module_; }

  /// Why nothing can be done with it; empty for a module.
  std::string obstacle() const {
    if (is_script_) {
      return "a torch::jit::Module (TorchScript) cannot carry adapters: build the model from the "
             "layers of ferrule::torch";
    }
    return module_ == nullptr ? "the model is null: an empty module holder or a null pointer" : "";
  }

 private:
  ::torch::nn::Module* module_ = nullptr;
  bool is_script_ = false;
};

namespace detail {

/// As guarded(), for functions of a model.
template <typename Body>
auto guarded(const ModelRef& model, Body&& body) -> decltype(body()) {
  if (auto why = model.obstacle(); !why.empty()) {
    return refuse(ErrorCode::kInvalidArgument, "LT-13", std::move(why));
  }
  return guarded(std::forward<Body>(body));
}

/// A module of a model and its path; what is part of adapted modules is left out.
struct ModulePlace {
  std::string path;
  Module* module;
  /// nullptr if the module cannot carry anything.
  Adaptable* adaptable;
};

/// The modules of a model, each once, and the names under which it has them again.
class Places {
 public:
  /// As PEFT's named_modules: parents first, a shared one once, under its first name.
  explicit Places(const ModelRef& model) { walk(model.module(), {}); }

  auto begin() const { return places_.begin(); }
  auto end() const { return places_.end(); }

  /// Further paths of modules that the model has more than once, and their first paths.
  const std::map<std::string, std::string, std::less<>>& aliases() const { return aliases_; }

  /// `name` with the first path of its module: the name itself if it is under no alias.
  std::string first_name(std::string_view name) const {
    for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
      const auto found = aliases_.find(name.substr(0, dot));
      if (found == aliases_.end()) continue;
      return first_name(found->second + std::string(name.substr(dot)));
    }
    return std::string(name);
  }

 private:
  void walk(Module& module, const std::string& path) {
    if (const auto [seen, is_new] = seen_.emplace(&module, path); !is_new) {
      aliases_.emplace(path, seen->second);
      return;
    }
    auto* adaptable = dynamic_cast<Adaptable*>(&module);
    places_.push_back({path, &module, adaptable});
    if (adaptable != nullptr && adaptable->is_changed()) return;
    for (const auto& child : module.named_children()) {
      walk(*child.value(), path.empty() ? child.key() : path + "." + child.key());
    }
  }

  std::vector<ModulePlace> places_;
  std::map<const Module*, std::string> seen_;
  std::map<std::string, std::string, std::less<>> aliases_;
};

inline Places places_of(const ModelRef& model) { return Places(model); }

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

inline Adapters adapters_of(const Places& places) {
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
}  // namespace ferrule::libtorch
