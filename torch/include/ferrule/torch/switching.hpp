// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/torch/shared_memory.hpp"

namespace ferrule::libtorch {

namespace detail {

inline Error no_adapter(const char* what) {
  return refuse(ErrorCode::kInvalidArgument, "LT-5",
                std::string("there is no adapter to ") + what + ": the model has none");
}

/// The trained copy that a set of active adapters calls for in one module.
inline Result<std::optional<std::string>> copy_for(const ModulePlace& place,
                                                   const std::vector<std::string>& names) {
  const AdaptableAccess access(*place.adaptable);
  std::optional<std::string> chosen;
  for (const auto& name : names) {
    if (!access.copies().contains(name)) continue;
    if (chosen) {
      return refuse(ErrorCode::kInvalidArgument, "LT-8",
                    "adapters " + quote(*chosen) + " and " + quote(name) + " both train " +
                        quote(place.path) + " as a whole: only one of them can be active");
    }
    chosen = name;
  }
  return chosen;
}

/// Why these adapters cannot train tokens of one module together; empty if they can.
inline std::string tokens_conflict(const ModulePlace& place,
                                   const std::vector<std::string>& names) {
  const AdaptableAccess access(*place.adaptable);
  std::set<std::int64_t> taken;
  std::string first;
  for (const auto& name : names) {
    const auto* update = access.find(name);
    const auto* tokens = update == nullptr ? nullptr : update->tokens();
    if (tokens == nullptr) continue;
    const bool overlaps = std::any_of(tokens->begin(), tokens->end(),
                                      [&](auto token) { return taken.contains(token); });
    if (!first.empty() && (overlaps || !access.box().empty())) {
      return "adapters " + quote(first) + " and " + quote(name) + " both train tokens of " +
             quote(place.path) + ": only one of them can be active";
    }
    taken.insert(tokens->begin(), tokens->end());
    first = name;
  }
  return {};
}

}  // namespace detail

/// Makes these adapters the active ones: they take part in the forward pass, in this order, and
/// their parameters require gradients (unless `inference_mode`); all others neither. What is merged
/// is unmerged first. Fails with kInvalidArgument: LT-5 for a name that the model does not have,
/// LT-8 if two of them train one module as a whole, or the same tokens.
inline Result<void> set_adapter(const ModelRef& model, const std::vector<std::string>& names,
                                bool inference_mode = false) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    if (names.empty()) return detail::no_adapter("set");
    if (auto known = detail::check_known(adapters, names); !known) return known;
    for (const auto& place : places) {
      if (place.adaptable == nullptr || !place.adaptable->is_changed()) continue;
      if (auto copy = detail::copy_for(place, names); !copy) return std::move(copy).error();
      if (auto why = detail::tokens_conflict(place, names); !why.empty()) {
        return detail::refuse(ErrorCode::kInvalidArgument, "LT-8", std::move(why));
      }
    }
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      AdaptableAccess access(*place.adaptable);
      if (place.adaptable->is_adapted()) {
        access.unmerge();
        access.set_active(names, !inference_mode);
      }
      if (place.adaptable->is_saved_whole()) {
        access.set_active_copy(detail::copy_for(place, names).value(), !inference_mode);
      }
    }
    return {};
  });
}

inline Result<void> set_adapter(const ModelRef& model, std::initializer_list<std::string> names,
                                bool inference_mode = false) {
  return set_adapter(model, std::vector<std::string>(names), inference_mode);
}
inline Result<void> set_adapter(const ModelRef& model, const std::string& name,
                                bool inference_mode = false) {
  return set_adapter(model, std::vector<std::string>{name}, inference_mode);
}
inline Result<void> set_adapter(const ModelRef& model, const char* name,
                                bool inference_mode = false) {
  return set_adapter(model, std::vector<std::string>{name}, inference_mode);
}

struct MergeOptions {
  /// Adapters to merge; empty means the active ones.
  std::vector<std::string> adapter_names = {};
  /// Works on copies, and refuses if a merged weight would not be finite (LT-10). The model is
  /// then as it was.
  bool safe_merge = false;
};

/// Puts adapters into the weights of the base, so that the forward pass costs nothing more; their
/// tensors are kept for unmerge_adapter(). Modules that are trained as a whole are not merged. A
/// weight that another module shares (a tied head) is merged as a copy, so that the other module
/// answers as before; unmerge_adapter() ties them again. Fails, with the model as it was, with
/// kInvalidArgument (LT-5, LT-10).
inline Result<void> merge_adapter(const ModelRef& model, const MergeOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    if (adapters.configs.empty()) return detail::no_adapter("merge");
    if (auto known = detail::check_known(adapters, options.adapter_names); !known) return known;
    const auto names_for = [&](const AdaptableAccess& access) {
      return access.mergeable(options.adapter_names.empty() ? access.active()
                                                            : options.adapter_names);
    };
    for (const auto& place : places) {
      if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
      AdaptableAccess access(*place.adaptable);
      auto together = access.merged();
      for (const auto& name : names_for(access)) together.push_back(name);
      if (auto why = detail::tokens_conflict(place, together); !why.empty()) {
        return detail::refuse(ErrorCode::kInvalidArgument, "LT-8", std::move(why));
      }
      for (const auto& name : names_for(access)) {
        const auto why = access.find(name)->merge_obstacle(*access.base_layer());
        if (why.empty()) continue;
        return detail::refuse(
            ErrorCode::kInvalidArgument, "LT-10",
            "adapter " + quote(name) + " cannot be merged into " + quote(place.path) + ": " + why);
      }
      if (options.safe_merge && !access.would_merge_finite(names_for(access))) {
        return detail::refuse(ErrorCode::kInvalidArgument, "LT-10",
                              "merging " + detail::name_list(names_for(access)) + " into " +
                                  quote(place.path) + " gives numbers that are not finite");
      }
    }
    const auto shared = detail::shared_memory(places);
    for (const auto& place : places) {
      if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
      AdaptableAccess access(*place.adaptable);
      if (access.merged().empty()) {
        const auto& weight = access.base_layer()->weight();
        access.set_tied(shared.contains(weight.storage().unsafeGetStorageImpl()));
      }
      access.merge(names_for(access), options.safe_merge);
    }
    return {};
  });
}

/// Takes out of the base what merge_adapter() put in. IA3 divides, which rounds.
inline Result<void> unmerge_adapter(const ModelRef& model) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    if (detail::adapters_of(places).configs.empty()) return detail::no_adapter("unmerge");
    for (const auto& place : places) {
      if (place.adaptable != nullptr && place.adaptable->is_adapted()) {
        AdaptableAccess(*place.adaptable).unmerge();
      }
    }
    return {};
  });
}

/// Switches all adapters off until enable_adapter(). Merged adapters are unmerged.
inline Result<void> disable_adapter(const ModelRef& model) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    if (detail::adapters_of(places).configs.empty()) return detail::no_adapter("disable");
    for (const auto& place : places) {
      if (place.adaptable != nullptr) AdaptableAccess(*place.adaptable).disable();
    }
    return {};
  });
}

/// Brings the active adapters back.
inline Result<void> enable_adapter(const ModelRef& model) {
  return detail::guarded(model, [&]() -> Result<void> {
    const auto places = detail::places_of(model);
    if (detail::adapters_of(places).configs.empty()) return detail::no_adapter("enable");
    for (const auto& place : places) {
      if (place.adaptable != nullptr) AdaptableAccess(*place.adaptable).enable();
    }
    return {};
  });
}

/// Names of all adapters of a model, sorted.
inline std::vector<std::string> adapter_names(const ModelRef& model) {
  std::vector<std::string> names;
  if (!model.obstacle().empty()) return names;
  for (const auto& [name, config] : detail::adapters_of(detail::places_of(model)).configs) {
    names.push_back(name);
  }
  return names;
}

/// Names of the active ones, in their order.
inline std::vector<std::string> active_adapters(const ModelRef& model) {
  if (!model.obstacle().empty()) return {};
  return detail::adapters_of(detail::places_of(model)).active;
}

}  // namespace ferrule::libtorch
