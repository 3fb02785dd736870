// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/torch/add_adapter.hpp"

namespace ferrule::libtorch {

struct LoadOptions {
  /// What the adapter is called in the model.
  std::string adapter_name = "default";
  /// Whether its parameters require gradients. If not, the model is put into evaluation mode.
  bool is_trainable = false;
  bool autocast_adapter_dtype = true;
  OpenOptions open = {};
};

/// What was loaded.
struct LoadReport {
  /// Tensors of the file, every one of which has its place in the model.
  std::uint64_t tensors = 0;
  std::vector<std::string> modules;
  std::vector<std::string> modules_to_save;
  std::vector<Finding> findings;
};

namespace detail {

/// Where the tensors of an adapter go: live names, without `base_model.model.`, and the tensors of
/// the plan and of the base under them.
class Destinations {
 public:
  Destinations(const Plan& plan, const Places& places) {
    for (const auto& item : plan.items) {
      add_update(item.path, *item.prepared.update, plan);
    }
    for (const auto& copy : plan.copies) {
      const auto prefix = copy.path + ".modules_to_save." + plan.name + ".";
      for (const auto& entry : copy.module->named_parameters()) {
        own_.emplace(prefix + entry.key(), entry.value());
      }
      for (const auto& entry : copy.module->named_buffers()) {
        own_.emplace(prefix + entry.key(), entry.value());
      }
    }
    for (const auto& place : places) add_base(plan, place);
  }

  void add_update(const std::string& path, Update& update, const Plan& plan) {
    auto prefix = path + ".";
    if (!update.box().empty()) prefix += update.box() + ".";
    for (const auto& slot : update.slots()) {
      if (slot.is_buffer) continue;
      std::string key = prefix + slot.attribute + "." + plan.name;
      if (slot.leaf[0] != '\0') key += std::string(".") + slot.leaf;
      own_.emplace(std::move(key), *slot.tensor);
    }
    const auto* shared = update.projections();
    if (shared == nullptr || !plan.config->flag("save_projection", true)) return;
    own_.emplace("base_model.vera_A." + plan.name, shared->a);
    own_.emplace("base_model.vera_B." + plan.name, shared->b);
  }

  /// Tensors that the adapter owns: the file must have each of them.
  const std::map<std::string, Tensor, std::less<>>& own() const noexcept { return own_; }

  const Tensor* find(std::string_view key) const {
    if (const auto found = own_.find(key); found != own_.end()) return &found->second;
    const auto found = base_.find(key);
    return found == base_.end() ? nullptr : &found->second;
  }

 private:
  /// What `bias` and save_embedding_layers write of the base, under the names it has once the
  /// adapter is in.
  void add_base(const Plan& plan, const ModulePlace& place) {
    const auto prefix = place.path.empty() ? "" : place.path + ".";
    const auto add = [this, &prefix](const std::string& below, const Module& module, bool all) {
      for (const auto& entry : module.named_parameters(all)) {
        base_.emplace(prefix + below + entry.key(), entry.value());
      }
    };
    const auto is_it = [&place](const auto& planned) { return planned.place == place.adaptable; };
    if (place.adaptable != nullptr && place.adaptable->is_adapted()) {
      const AdaptableAccess access(*place.adaptable);
      const auto below = access.box().empty() ? "base_layer." : access.box() + ".base_layer.";
      return add(below, *access.base_layer()->module(), false);
    }
    if (place.adaptable != nullptr && place.adaptable->is_saved_whole()) {
      return add("original_module.", *AdaptableAccess(*place.adaptable).original(), true);
    }
    if (std::any_of(plan.copies.begin(), plan.copies.end(), is_it)) {
      return add("original_module.", *place.module, true);
    }
    const auto item = std::find_if(plan.items.begin(), plan.items.end(), is_it);
    if (item == plan.items.end()) return add("", *place.module, false);
    const auto box = item->prepared.update->box();
    add(box.empty() ? "base_layer." : box + ".base_layer.", *place.module, false);
  }

  std::map<std::string, Tensor, std::less<>> own_;
  std::map<std::string, Tensor, std::less<>> base_;
};

struct Filling {
  Tensor to;
  Tensor from;
};

/// True for what a file may have and a model does not take: VeRA's projections if they are drawn
/// again from their seed.
inline bool is_drawn_again(std::string_view key, const Plan& plan) {
  return plan.config->peft_type() == "VERA" && key.starts_with("base_model.vera_") &&
         !plan.config->flag("save_projection", true);
}

/// True for a bias that PEFT writes again if `bias` is "all" and modules_to_save names its module:
/// as `X.modules_to_save.bias` and `X.original_module.bias`, beside the copy's own. The first is no
/// tensor of any model, the second is the base's.
inline bool is_second_bias(std::string_view key, const Plan& plan) {
  return std::any_of(plan.copies.begin(), plan.copies.end(), [&](const Plan::Copy& copy) {
    const auto prefix = copy.path + ".modules_to_save." + plan.name + ".";
    return key.ends_with("bias") && (key.starts_with(prefix + "modules_to_save.") ||
                                     key.starts_with(prefix + "original_module."));
  });
}

/// Every tensor of the file with its place in the model; refuses strangers, gaps and other shapes.
inline Result<std::vector<Filling>> match(const Adapter& adapter, const Plan& plan,
                                          const Destinations& destinations, const Places& places) {
  constexpr std::string_view kPrefix = "base_model.model.";
  std::vector<Filling> fillings;
  std::vector<std::string> strangers;
  std::map<std::string, Tensor, std::less<>> filled;
  for (const auto& [live_key, view] : adapter.state_dict(plan.name)) {
    std::string_view file_key = live_key;
    if (file_key.starts_with(kPrefix)) file_key.remove_prefix(kPrefix.size());
    // A layer that the model has twice is in the file twice.
    const auto key = places.first_name(file_key);
    const auto* place = destinations.find(key);
    if (place == nullptr) {
      if (!is_second_bias(key, plan) && !is_drawn_again(key, plan))
        strangers.emplace_back(file_key);
      continue;
    }
    auto value = to_tensor(view);
    if (!value) return std::move(value).error();
    if (value->sizes() != place->sizes()) {
      return refuse(ErrorCode::kInvalidArgument, "LT-9",
                    "tensor " + quote(key) + ": the model has " + shape_text(place->sizes()) +
                        ", the adapter " + shape_text(value->sizes()));
    }
    const auto [earlier, is_new] = filled.emplace(key, *value);
    if (!is_new && !at::equal(earlier->second, *value)) {
      return refuse(ErrorCode::kInvalidArgument, "LT-9",
                    "tensor " + quote(file_key) + ": the model has this layer as " + quote(key) +
                        " too, and the adapter has other values there");
    }
    if (is_new) fillings.push_back({*place, *std::move(value)});
  }
  if (!strangers.empty()) {
    return refuse(ErrorCode::kInvalidArgument, "LT-9",
                  "the model has no place for " + std::to_string(strangers.size()) + " of " +
                      std::to_string(adapter.tensors().size()) +
                      " tensors: " + name_list(strangers));
  }
  std::vector<std::string> missing;
  for (const auto& [key, tensor] : destinations.own()) {
    if (!filled.contains(key)) missing.push_back(key);
  }
  if (missing.empty()) return fillings;
  return refuse(ErrorCode::kInvalidArgument, "LT-9",
                "the adapter lacks " + std::to_string(missing.size()) + " of " +
                    std::to_string(destinations.own().size()) +
                    " tensors that the model needs: " + name_list(missing));
}

/// What is wrong with the file itself, with the tensor that it is about.
inline std::optional<Error> first_error(const Adapter& adapter) {
  auto error = adapter.first_error();
  if (!error) return std::nullopt;
  const auto& finding = adapter.findings().front();
  error->path.clear();
  if (!finding.key.empty()) error->message = quote(finding.key) + ": " + error->message;
  return error;
}

inline Result<LoadReport> load(const Adapter& adapter, const ModelRef& model,
                               const LoadOptions& options) {
  if (!options.open.allow_errors) {
    if (auto error = first_error(adapter)) return *std::move(error);
  }
  const auto places = places_of(model);
  auto plan = Planner(places, options.adapter_name, adapter.config(),
                      {.purpose = Purpose::kLoad, .autocast = options.autocast_adapter_dtype})
                  .run();
  if (!plan) return std::move(plan).error();
  const Destinations destinations(*plan, places);
  auto fillings = match(adapter, *plan, destinations, places);
  if (!fillings) return std::move(fillings).error();
  const auto added = summarize(*plan);
  for (auto& item : plan->items) item.prepared.update->mark_loaded();
  commit(*std::move(plan), model.module(), options.is_trainable);
  {
    const ::torch::NoGradGuard no_grad;
    for (auto& filling : *fillings) filling.to.copy_(filling.from);
  }
  if (!options.is_trainable) model.module().eval();
  LoadReport report{.tensors = adapter.tensors().size(),
                    .modules = added.modules,
                    .modules_to_save = added.modules_to_save,
                    .findings = added.findings};
  report.findings.insert(report.findings.end(), adapter.findings().begin(),
                         adapter.findings().end());
  return report;
}

}  // namespace detail

/// Adds a saved adapter to a model: the config decides which layers get it, and every tensor of the
/// file finds its place. The first adapter becomes active; a later one waits for set_adapter().
///
/// Strict: fails, with the model as it was, if the file is bad (as Adapter::open, and with the rule
/// of its first error; OpenOptions::allow_errors lists errors in the report instead), if the config
/// asks for what add_adapter() refuses, and if a tensor has no place, is missing, or has another
/// shape (LT-9).
inline Result<LoadReport> from_pretrained(const ModelRef& model,
                                          const std::filesystem::path& directory,
                                          const LoadOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<LoadReport> {
    auto open = options.open;
    open.allow_errors = true;
    const auto adapter = Adapter::open(directory, open);
    if (!adapter) return adapter.error();
    auto loaded = detail::load(*adapter, model, options);
    if (loaded) return loaded;
    auto error = std::move(loaded).error();
    if (error.path.empty()) error.path = directory.string();
    return error;
  });
}

}  // namespace ferrule::libtorch
