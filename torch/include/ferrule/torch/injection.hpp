// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/targeting.hpp"
#include "ferrule/torch/config_support.hpp"
#include "ferrule/torch/make_update.hpp"
#include "ferrule/torch/shared_memory.hpp"
#include "ferrule/torch/unmatched.hpp"

namespace ferrule::libtorch::detail {

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
  std::optional<std::string> output_embeddings = {};
};

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

/// True for containers that their owner takes modules or parameters out of, and does not call.
/// PEFT refuses them, too.
inline bool is_without_forward(const Module& module) {
  const auto name = class_of(module);
  for (const char* container : {"ModuleList", "ModuleDict", "ParameterList", "ParameterDict"}) {
    if (name.find(container) != std::string::npos) return true;
  }
  return false;
}

class Planner {
 public:
  Planner(const Places& places, std::string name, AdapterConfig config, PlanOptions options)
      : places_(places), options_(options), config_(std::move(config)) {
    plan_.name = std::move(name);
    asked_ = config_;
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
    if (auto ok = expand_all_linear(config_, places_, options_.output_embeddings); !ok) return ok;
    if (auto ok = settle_fan(); !ok) return ok;
    auto targets = ModuleTargets::compile(config_);
    if (!targets) return std::move(targets).error();
    plan_.config = std::make_shared<const AdapterConfig>(config_);
    if (auto ok = choose(*targets); !ok) return ok;
    if (auto ok = make(*targets); !ok) return ok;
    if (auto ok = copy(*targets); !ok) return ok;
    if (auto ok = add_tokens(); !ok) return ok;
    return report_unmatched();
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
    const AdaptableAccess access(*place.adaptable);
    if (place.adaptable->is_adapted() && !access.box().empty()) {
      return "tokens of it are trained by another adapter";
    }
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
    settings.scaling = settings.initial_scaling = strength->strength.value_or(1);
    static constexpr std::array<std::string_view, 3> kWithoutRank = {"IA3", "OFT",
                                                                     "TRAINABLE_TOKENS"};
    const bool needs_rank = std::find(kWithoutRank.begin(), kWithoutRank.end(),
                                      config_.peft_type()) == kWithoutRank.end();
    const auto rank = strength->rank.value_or(static_cast<double>(config_.rank().value_or(0)));
    // A fraction or a rank beyond reason is caught here; beyond the layer's own size it is legal.
    constexpr double kMaxRank = 1 << 24;
    if (rank == std::floor(rank) && rank > 0 && rank < kMaxRank) {
      settings.rank = static_cast<std::int64_t>(rank);
    } else if (needs_rank) {
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
    const auto shared = share_projections(settled);
    for (auto& [place, settings] : settled) {
      const auto base = base_under(*place);
      auto prepared = make_update(std::move(settings), *base, shared);
      if (options_.autocast) prepared.update->upcast();
      plan_.items.push_back({place->path, place->adaptable, std::move(prepared)});
    }
    return {};
  }

  /// What VeRA's layers share; nothing for other methods.
  VeraProjections share_projections(
      const std::vector<std::pair<const ModulePlace*, UpdateSettings>>& settled) const {
    if (config_.peft_type() != "VERA" || settled.empty()) return {};
    std::int64_t in = 0;
    std::int64_t out = 0;
    for (const auto& [place, settings] : settled) {
      const auto base = base_under(*place);
      in = std::max(in, base->in_features());
      out = std::max(out, base->out_features());
    }
    auto shared = draw_projections(config_, settled.front().second.rank, in, out);
    const auto options = base_under(*settled.front().first)->weight().detach().options();
    for (auto* tensor : {&shared.a, &shared.b}) {
      *tensor = tensor->to(options);
      const auto type = tensor->scalar_type();
      const bool half = type == at::kHalf || type == at::kBFloat16;
      if (half && options_.autocast) *tensor = tensor->to(at::kFloat);
    }
    return shared;
  }

  /// `trainable_token_indices`: modules of which some rows are trained besides what is targeted.
  Result<void> add_tokens() {
    const auto* field = config_.find("trainable_token_indices");
    if (!is_truthy(field)) return {};
    Json::Object wanted;
    if (const auto* modules = field->if_object()) {
      wanted = *modules;
    } else {
      wanted.emplace_back("embed_tokens", *field);
    }
    const auto shared = shared_memory(places_);
    for (const auto& [name, value] : wanted) {
      bool found = false;
      for (const auto& place : places_) {
        if (place.path.empty() || !place.path.ends_with(name)) continue;
        found = true;
        if (auto ok = add_tokens_to(place, token_indices(value), shared); !ok) return ok;
      }
      if (found) continue;
      return refuse(
          ErrorCode::kInvalidArgument, "LT-3",
          "trainable_token_indices names " + quote(name) + ", which is not a module of the model");
    }
    return {};
  }

  Result<void> add_tokens_to(const ModulePlace& place, std::optional<TokenIndices> indices,
                             const std::set<const void*>& shared) {
    const auto in_plan = [&place](const auto& planned) { return planned.place == place.adaptable; };
    const auto kind = place.adaptable == nullptr ? std::nullopt : place.adaptable->kind();
    std::string why;
    if (!kind || !method_takes("TRAINABLE_TOKENS", *kind)) {
      why = "it is not an Embedding or Linear of ferrule::torch";
    } else if (place.adaptable->is_saved_whole() ||
               std::any_of(plan_.copies.begin(), plan_.copies.end(), in_plan)) {
      why = "modules_to_save trains it as a whole";
    } else if (std::any_of(plan_.items.begin(), plan_.items.end(), in_plan) ||
               (place.adaptable->is_adapted() && AdaptableAccess(*place.adaptable).box().empty())) {
      why = "an adapter hangs on it";
    }
    if (!why.empty()) {
      return refuse(
          ErrorCode::kUnsupported, "LT-8",
          "trainable_token_indices cannot train tokens of " + quote(place.path) + ": " + why);
    }
    const auto base = base_under(place);
    if (shared.contains(base->weight().storage().unsafeGetStorageImpl())) {
      return refuse(ErrorCode::kUnsupported, "LT-2",
                    "trainable_token_indices: the weight of " + quote(place.path) +
                        " is another module's too, which would not get the tokens");
    }
    why = tokens_obstacle(indices, *base);
    if (!why.empty()) {
      return refuse(ErrorCode::kInvalidArgument, "LT-7",
                    "module " + quote(place.path) + ": " + why);
    }
    const ::torch::NoGradGuard no_grad;
    UpdateSettings settings{.adapter = plan_.name, .config = plan_.config};
    auto prepared = make_tokens(std::move(settings), *base, "token_adapter", *std::move(indices));
    if (options_.autocast) prepared.update->upcast();
    plan_.items.push_back({place.path, place.adaptable, std::move(prepared)});
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
      if (is_without_forward(*place.module)) {
        misfits.push_back(place.path + ": a " + class_of(*place.module) +
                          ", which has no forward function that a copy could answer: name the "
                          "modules in it");
      } else if (place.adaptable == nullptr) {
        misfits.push_back(place.path + ": a " + class_of(*place.module) +
                          "; make it a ferrule::torch::ModulesToSave");
      } else if (place.adaptable->is_adapted()) {
        misfits.push_back(place.path + ": it has another adapter");
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

  Result<void> report_unmatched() {
    std::vector<std::string> all;
    std::vector<std::string> targeted;
    for (const auto& place : places_) all.push_back(place.path);
    for (const auto* place : chosen_) targeted.push_back(place->path);
    auto unmatched = detail::report_unmatched(*asked_, all, targeted);
    if (!unmatched) return std::move(unmatched).error();
    plan_.findings.insert(plan_.findings.end(), unmatched->begin(), unmatched->end());
    return {};
  }

  const Places& places_;
  PlanOptions options_;
  AdapterConfig config_;
  /// The config as it came, before heads were added and `all-linear` was spelled out.
  std::optional<AdapterConfig> asked_;
  Plan plan_;
  std::vector<const ModulePlace*> chosen_;
};

}  // namespace ferrule::libtorch::detail
