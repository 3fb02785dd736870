// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/torch/add_adapter.hpp"

namespace ferrule::torch {

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

/// A copy of the file's tensor.
inline Result<Tensor> to_tensor(const TensorView& view) {
  const auto type = to_scalar_type(view.dtype());
  if (!type) {
    return refuse(
        ErrorCode::kUnsupported, "LT-9",
        "dtype " + std::string(dtype_name(view.dtype())) + " is not known to LibTorch here");
  }
  std::vector<std::int64_t> sizes;
  for (const auto extent : view.shape()) sizes.push_back(static_cast<std::int64_t>(extent));
  auto tensor = at::empty(sizes, at::TensorOptions().dtype(*type));
  if (!view.bytes().empty()) {
    std::memcpy(tensor.data_ptr(), view.bytes().data(), view.bytes().size());
  }
  return tensor;
}

/// Where the tensors of an adapter go: live names, without `base_model.model.`, and the tensors of
/// the plan and of the base under them.
class Destinations {
 public:
  Destinations(const Plan& plan, const std::vector<ModulePlace>& places) {
    for (const auto& item : plan.items) {
      for (const auto& slot : item.prepared.update->slots()) {
        std::string key = item.path + "." + slot.attribute + "." + plan.name;
        if (slot.leaf[0] != '\0') key += std::string(".") + slot.leaf;
        own_.emplace(std::move(key), *slot.tensor);
      }
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
    auto prefix = place.path.empty() ? "" : place.path + ".";
    auto* module = place.module;
    std::shared_ptr<Module> below;
    if (place.adaptable != nullptr && place.adaptable->is_adapted()) {
      below = AdaptableAccess(*place.adaptable).base_layer()->module();
    }
    const bool wrapped = below != nullptr || targets(plan, place);
    if (below != nullptr) module = below.get();
    if (wrapped) prefix += "base_layer.";
    for (const auto& entry : module->named_parameters(false)) {
      base_.emplace(prefix + entry.key(), entry.value());
    }
  }

  static bool targets(const Plan& plan, const ModulePlace& place) {
    return std::any_of(plan.items.begin(), plan.items.end(),
                       [&](const Plan::Item& item) { return item.place == place.adaptable; });
  }

  std::map<std::string, Tensor, std::less<>> own_;
  std::map<std::string, Tensor, std::less<>> base_;
};

struct Filling {
  Tensor to;
  Tensor from;
};

/// Every tensor of the file with its place in the model; refuses strangers, gaps and other shapes.
inline Result<std::vector<Filling>> match(const Adapter& adapter, const Plan& plan,
                                          const Destinations& destinations) {
  constexpr std::string_view kPrefix = "base_model.model.";
  std::vector<Filling> fillings;
  std::vector<std::string> strangers;
  std::set<std::string, std::less<>> filled;
  for (const auto& [live_key, view] : adapter.state_dict(plan.name)) {
    std::string_view key = live_key;
    if (key.starts_with(kPrefix)) key.remove_prefix(kPrefix.size());
    const auto* place = destinations.find(key);
    if (place == nullptr) {
      strangers.emplace_back(key);
      continue;
    }
    auto value = to_tensor(view);
    if (!value) return std::move(value).error();
    if (value->sizes() != place->sizes()) {
      return refuse(ErrorCode::kInvalidArgument, "LT-9",
                    "tensor " + quote(key) + ": the model has " + shape_text(place->sizes()) +
                        ", the adapter " + shape_text(value->sizes()));
    }
    filled.emplace(key);
    fillings.push_back({*place, *std::move(value)});
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

inline Result<LoadReport> load(const Adapter& adapter, const Model& model,
                               const LoadOptions& options) {
  for (const auto& finding : adapter.findings()) {
    if (finding.severity != Severity::kError) continue;
    return refuse(ErrorCode::kCorrupt, finding.rule.c_str(),
                  (finding.key.empty() ? "" : quote(finding.key) + ": ") + finding.message);
  }
  const auto places = places_of(model);
  auto plan = Planner(places, options.adapter_name, adapter.config(),
                      {.purpose = Purpose::kLoad, .autocast = options.autocast_adapter_dtype})
                  .run();
  if (!plan) return std::move(plan).error();
  const Destinations destinations(*plan, places);
  auto fillings = match(adapter, *plan, destinations);
  if (!fillings) return std::move(fillings).error();
  const auto added = summarize(*plan);
  commit(*std::move(plan), model.module(), options.is_trainable);
  {
    const ::torch::NoGradGuard no_grad;
    for (auto& filling : *fillings) filling.to.copy_(filling.from);
  }
  if (!options.is_trainable) model.module().eval();
  LoadReport report{.tensors = fillings->size(),
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
/// of its first error), if the config asks for what add_adapter() refuses, and if a
/// tensor has no place, is missing, or has another shape (LT-9).
inline Result<LoadReport> from_pretrained(const Model& model,
                                          const std::filesystem::path& directory,
                                          const LoadOptions& options = {}) {
  return detail::guarded([&]() -> Result<LoadReport> {
    auto open = options.open;
    open.allow_errors = true;  // load() refuses them, and says of which tensor.
    const auto adapter = Adapter::open(directory, open);
    if (!adapter) return adapter.error();
    auto loaded = detail::load(*adapter, model, options);
    if (loaded) return loaded;
    auto error = std::move(loaded).error();
    if (error.path.empty()) error.path = directory.string();
    return error;
  });
}

}  // namespace ferrule::torch
