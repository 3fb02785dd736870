// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/save_pretrained.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/torch/model.hpp"

namespace ferrule::torch {

/// What to do with an adapter that changes nothing because it has not been trained.
enum class Untrained : std::uint8_t {
  kRefuse,
  /// Save it anyway.
  kSave,
};

namespace detail {

/// The live state of a module as the core reads it: views of host memory, copies of the rest.
class LiveState {
 public:
  /// `facts` says which modules are embeddings: those may be saved, too.
  static Result<LiveState> read(const Module& module, const ModelFacts& facts) {
    LiveState live;
    for (const auto& parameter : module.named_parameters()) {
      if (auto ok = live.add(parameter.key(), parameter.value(), facts); !ok) {
        return std::move(ok).error();
      }
    }
    for (const auto& buffer : module.named_buffers()) {
      if (auto ok = live.add(buffer.key(), buffer.value(), facts); !ok) {
        return std::move(ok).error();
      }
    }
    return live;
  }

  const StateDict& state() const noexcept { return state_; }

 private:
  /// Weights of the base that no save writes need not come down from a device: of those the names
  /// alone matter, because they show which modules are layers with adapters.
  static bool may_be_saved(const std::string& name, const ModelFacts& facts) {
    if (name == "bias" || name.ends_with(".bias")) return true;
    for (const auto* embedding : {&facts.input_embeddings, &facts.output_embeddings}) {
      if (*embedding && name.find(**embedding) != std::string::npos) return true;
    }
    const bool of_base = name.find(".base_layer.") != std::string::npos ||
                         name.find(".original_module.") != std::string::npos;
    return !of_base;
  }

  Result<void> add(const std::string& name, const Tensor& tensor, const ModelFacts& facts) {
    if (!tensor.defined()) return {};
    if (!tensor.device().is_cpu() && !may_be_saved(name, facts)) {
      static constexpr std::uint64_t kNothing[1] = {0};
      return state_.add(name, Dtype::kF32, kNothing, {});
    }
    const auto dtype = tensor.layout() == at::kStrided && !tensor.is_meta()
                           ? to_dtype(tensor.scalar_type())
                           : std::nullopt;
    if (!dtype) {
      // A tensor of the base that these files cannot hold does not matter: it is not written.
      if (!is_adapters(name)) return {};
      return refuse(ErrorCode::kUnsupported, "LT-11",
                    "tensor " + quote(name) +
                        " has a type or layout that cannot be saved: " + tensor.toString());
    }
    auto host = to_host(tensor);
    const auto shape = shape_of(host);
    auto added = state_.add(name, *dtype, shape, bytes_of(host));
    keep_.push_back(std::move(host));
    return added;
  }

  static bool is_adapters(const std::string& name) {
    for (const char* part : {".lora_", ".ia3_", ".hada_", ".lokr_", ".modules_to_save."}) {
      if (("." + name).find(part) != std::string::npos) return true;
    }
    return false;
  }

  StateDict state_;
  std::vector<Tensor> keep_;  // The memory of the views.
};

/// Names of the adapters among `names` that change nothing because they have not been trained.
inline std::vector<std::string> untrained(const std::vector<ModulePlace>& places,
                                          const std::vector<std::string>& names) {
  std::vector<std::string> idle;
  for (const auto& name : names) {
    bool touched = false;
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      const AdaptableAccess access(*place.adaptable);
      if (auto* update = access.find(name)) touched = touched || !update->is_untouched();
      touched = touched || access.is_copy_touched(name);
    }
    if (!touched) idle.push_back(name);
  }
  return idle;
}

}  // namespace detail

/// Saves adapters of a model whose parameters have the names that PEFT gives them, whoever made
/// them: a module of your own will do. `configs` says what they are. Selection, verification, card
/// and transaction are those of ferrule::save; tensors on the host are not copied unless
/// they are not contiguous.
inline Result<SaveReport> save_pretrained(const Model& model, std::span<const NamedConfig> configs,
                                          const std::filesystem::path& directory,
                                          const SaveOptions& options = {}) {
  return detail::guarded([&]() -> Result<SaveReport> {
    const auto live = detail::LiveState::read(model.module(), options.facts);
    if (!live) return live.error();
    auto complete = options;
    if (!complete.facts.is_transformers) complete.facts.is_transformers = false;
    return ferrule::save(live->state(), configs, directory, complete);
  });
}

/// Saves the adapters of a model as PeftModel.save_pretrained does: "default" into `directory`,
/// others into `directory/NAME`, together or not at all.
///
/// Fails with kInvalidArgument for a model without adapters and for names it does not have (LT-5),
/// and for an adapter that is not trained and changes nothing (LT-11, see Untrained); otherwise as
/// ferrule::save.
inline Result<SaveReport> save_pretrained(const Model& model,
                                          const std::filesystem::path& directory,
                                          const SaveOptions& options = {},
                                          Untrained untrained = Untrained::kRefuse) {
  return detail::guarded([&]() -> Result<SaveReport> {
    const auto places = detail::places_of(model);
    const auto adapters = detail::adapters_of(places);
    if (adapters.configs.empty()) {
      return detail::refuse(ErrorCode::kInvalidArgument, "LT-5",
                            "there is no adapter to save: the model has none");
    }
    auto names = options.selected_adapters;
    if (auto known = detail::check_known(adapters, names); !known) return std::move(known).error();
    std::vector<NamedConfig> configs;
    for (const auto& [name, config] : adapters.configs) {
      configs.push_back({name, *config});
      if (options.selected_adapters.empty()) names.push_back(name);
    }
    const auto idle = detail::untrained(places, names);
    if (untrained == Untrained::kRefuse && !idle.empty()) {
      return detail::refuse(ErrorCode::kInvalidArgument, "LT-11",
                            "nothing has been trained of " + detail::name_list(idle) +
                                ": such an adapter changes nothing");
    }
    return save_pretrained(model, configs, directory, options);
  });
}

}  // namespace ferrule::torch
