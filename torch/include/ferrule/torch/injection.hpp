// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/finding.hpp"
#include "ferrule/targeting.hpp"
#include "ferrule/torch/config_support.hpp"
#include "ferrule/torch/make_update.hpp"

namespace ferrule::torch::detail {

/// An adapter that is made, checked, and not in the model yet.
struct Plan {
  struct Item {
    std::string path;
    Adaptable* place;
    PreparedUpdate prepared;
  };
  struct Copy {
    std::string path;
    Adaptable* place;
    std::shared_ptr<Module> module;
  };
  std::string name;
  std::shared_ptr<const AdapterConfig> config;
  std::vector<Item> items;
  std::vector<Copy> copies;
  std::vector<Finding> findings;
};

struct PlanOptions {
  Purpose purpose = Purpose::kTrain;
  bool autocast = true;
};

inline Finding warning(const char* rule, std::string key, std::string message) {
  return {.severity = Severity::kWarning,
          .rule = rule,
          .path = {},
          .key = std::move(key),
          .message = std::move(message),
          .advice = {}};
}

/// Why no module was found, as far as the config shows it.
inline Error nothing_targeted(const AdapterConfig& config, std::size_t excluded,
                              const std::vector<std::string>& paths) {
  const auto* targets = config.find("target_modules");
  std::string message = "target_modules " +
                        printable(targets == nullptr ? "null" : targets->dump_python(-1), 200) +
                        " matches no module of the model";
  if (excluded > 0) {
    message += " (" + std::to_string(excluded) + " excluded by exclude_modules or modules_to_save)";
  }
  for (const char* field : {"layers_to_transform", "layers_pattern"}) {
    const auto* value = config.find(field);
    if (is_truthy(value)) message += ", " + std::string(field) + " " + value->dump_python(-1);
  }
  message += "; the model has " + name_list(paths);
  return refuse(ErrorCode::kInvalidArgument, "LT-3", std::move(message));
}

/// The module's own word for what it is.
inline std::string class_of(const Module& module) { return module.name(); }

class Planner {
 public:
  Planner(const std::vector<ModulePlace>& places, std::string name, AdapterConfig config,
          PlanOptions options)
      : places_(places), options_(options), config_(std::move(config)) {
    plan_.name = std::move(name);
  }

  Result<Plan> run() {
    auto done = prepare();
    if (!done) return std::move(done).error();
    return std::move(plan_);
  }

 private:
  Result<void> prepare() {
    if (auto ok = check_method(config_); !ok) return ok;
    if (auto ok = check_initialization(config_, options_.purpose); !ok) return ok;
    if (auto ok = check_company(config_, plan_.name, adapters_of(places_)); !ok) return ok;
    if (auto ok = add_task_heads(config_); !ok) return ok;
    if (auto ok = expand_all_linear(config_, places_); !ok) return ok;
    if (auto ok = settle_fan(); !ok) return ok;
    auto targets = ModuleTargets::compile(config_);
    if (!targets) return std::move(targets).error();
    plan_.config = std::make_shared<const AdapterConfig>(config_);
    if (auto ok = choose(*targets); !ok) return ok;
    if (auto ok = make(*targets); !ok) return ok;
    return copy(*targets);
  }

  /// Weights of these layers have nn.Linear's layout: PEFT corrects such a config too.
  Result<void> settle_fan() {
    if (!config_.flag("fan_in_fan_out")) return {};
    plan_.findings.push_back(warning("LT-2", "fan_in_fan_out",
                                     "fan_in_fan_out is for transposed weights, which these layers "
                                     "do not have: set to false"));
    return config_.set("fan_in_fan_out", Json(false));
  }

  Result<void> choose(const ModuleTargets& targets) {
    std::vector<std::string> misfits;
    std::vector<std::string> paths;
    std::size_t excluded = 0;
    for (const auto& place : places_) {
      if (place.path.empty()) continue;
      const auto judged = targets.judge(place.path);
      if (!judged) return judged.error();
      if (place.module->named_children().is_empty()) paths.push_back(place.path);
      if (*judged == Targeting::kExcluded) ++excluded;
      if (*judged != Targeting::kTargeted) continue;
      if (auto why = misfit(place); !why.empty()) {
        misfits.push_back(place.path + ": " + why);
      } else {
        chosen_.push_back(&place);
      }
    }
    if (!misfits.empty()) {
      return refuse(ErrorCode::kUnsupported, "LT-4",
                    "target_modules names modules that cannot carry a " + config_.peft_type() +
                        " adapter: " + name_list(misfits));
    }
    if (chosen_.empty()) return nothing_targeted(config_, excluded, paths);
    return {};
  }

  std::string misfit(const ModulePlace& place) const {
    if (place.adaptable == nullptr) {
      return "a " + class_of(*place.module) + ", and no layer of ferrule::torch";
    }
    if (place.adaptable->is_saved_whole()) return "modules_to_save of another adapter trains it";
    const auto kind = place.adaptable->kind();
    if (!kind) return "it can only be trained as a whole (modules_to_save)";
    if (method_takes(config_.peft_type(), *kind)) return {};
    return "PEFT has no such layer for " + std::string(layer_kind_name(*kind));
  }

  Result<UpdateSettings> settle(const ModuleTargets& targets, const std::string& path) const {
    auto strength = targets.strength(path);
    if (!strength) return std::move(strength).error();
    auto feedforward = targets.is_feedforward(path);
    if (!feedforward) return std::move(feedforward).error();
    UpdateSettings settings{.adapter = plan_.name, .config = plan_.config};
    settings.feedforward = *feedforward;
    settings.scaling = strength->strength.value_or(1);
    const auto rank = strength->rank.value_or(0);
    // A fraction or a rank beyond reason is caught here; beyond the layer's own size it is legal.
    constexpr double kMaxRank = 1 << 24;
    if (rank == std::floor(rank) && rank > 0 && rank < kMaxRank) {
      settings.rank = static_cast<std::int64_t>(rank);
    } else if (config_.peft_type() != "IA3") {
      return refuse(
          ErrorCode::kInvalidArgument, "LT-7",
          "module " + quote(path) + ": a rank of " + Json(rank).dump() + " cannot be made");
    }
    return settings;
  }

  Result<void> make(const ModuleTargets& targets) {
    std::vector<std::pair<const ModulePlace*, UpdateSettings>> settled;
    for (const auto* place : chosen_) {
      auto settings = settle(targets, place->path);
      if (!settings) return std::move(settings).error();
      const auto base = base_under(*place);
      if (auto why = update_obstacle(*settings, *base); !why.empty()) {
        return refuse(ErrorCode::kInvalidArgument, "LT-7",
                      "module " + quote(place->path) + ": " + why);
      }
      settled.emplace_back(place, *std::move(settings));
    }
    for (auto& [place, settings] : settled) {
      const auto base = base_under(*place);
      auto prepared = make_update(std::move(settings), *base);
      if (options_.autocast) prepared.update->upcast();
      plan_.items.push_back({place->path, place->adaptable, std::move(prepared)});
    }
    return {};
  }

  /// The layer below the adapters: the base layer of an adapted one, or the layer itself.
  static std::shared_ptr<BaseLayer> base_under(const ModulePlace& place) {
    const AdaptableAccess access(*place.adaptable);
    if (auto* base = access.base_layer()) {
      return {base, [](BaseLayer*) {}};  // Owned by the layer.
    }
    return access.peek_base();
  }

  Result<void> copy(const ModuleTargets& targets) {
    std::vector<std::string> misfits;
    for (const auto& place : places_) {
      if (place.path.empty() || !targets.is_saved_whole(place.path)) continue;
      if (place.adaptable == nullptr) {
        misfits.push_back(place.path + ": a " + class_of(*place.module) +
                          "; make it a ferrule::torch::ModulesToSave");
      } else if (place.adaptable->is_adapted()) {
        misfits.push_back(place.path + ": another adapter hangs on it");
      } else {
        plan_.copies.push_back(
            {place.path, place.adaptable, AdaptableAccess(*place.adaptable).copy_original()});
      }
    }
    for (const auto& outer : plan_.copies) {
      for (const auto& inner : plan_.copies) {
        if (inner.path.starts_with(outer.path + ".")) {
          misfits.push_back(inner.path + ": it is inside " + outer.path);
        }
      }
    }
    if (misfits.empty()) return {};
    return refuse(
        ErrorCode::kUnsupported, "LT-8",
        "modules_to_save names modules that cannot be trained as a whole: " + name_list(misfits));
  }

  const std::vector<ModulePlace>& places_;
  PlanOptions options_;
  AdapterConfig config_;
  Plan plan_;
  std::vector<const ModulePlace*> chosen_;
};

/// The base is frozen, except for the biases that `bias` asks for.
inline void freeze_base(const std::vector<ModulePlace>& places, Module& model,
                        const AdapterConfig& config) {
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

}  // namespace ferrule::torch::detail
