// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/save_pretrained.hpp"
#include "ferrule/tensor_source.hpp"
#include "ferrule/torch/model.hpp"
#include "ferrule/torch/vera.hpp"

namespace ferrule::libtorch {

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
  /// `facts` says which modules are embeddings: those may be saved, too. `of_model` are tensors of
  /// the adapters that are on no module, under the names that PEFT gives them. With `owns`, what
  /// training changes is copied. `is_ours`: the adapters are those that this library added.
  static Result<LiveState> read(const Module& module, const ModelFacts& facts,
                                const std::map<std::string, Tensor>& of_model, bool owns,
                                bool is_ours) {
    LiveState live;
    live.owns_ = owns;
    live.is_ours_ = is_ours;
    for (const auto& [name, tensor] : of_model) {
      if (auto ok = live.add(name, tensor, facts); !ok) return std::move(ok).error();
    }
    // Beside names of that kind, all are as in a PeftModel.
    if (!of_model.empty()) live.prefix_ = "base_model.model.";
    live.is_of_model_ = false;
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
  bool may_be_saved(const std::string& name, const ModelFacts& facts) const {
    if (name == "bias" || name.ends_with(".bias")) return true;
    for (const auto* embedding : {&facts.input_embeddings, &facts.output_embeddings}) {
      if (*embedding && name.find(**embedding) != std::string::npos) return true;
    }
    if (is_ours_) return is_adapters(name);
    const bool of_base = name.find(".base_layer.") != std::string::npos ||
                         name.find(".original_module.") != std::string::npos;
    return !of_base;
  }

  /// Buffers that PEFT does not have in a state dict, or has once for the whole model.
  static bool is_view(const std::string& name) {
    return name.find(".trainable_tokens_original.") != std::string::npos ||
           name.find(".vera_A.") != std::string::npos || name.find(".vera_B.") != std::string::npos;
  }

  Result<void> add(const std::string& plain_name, const Tensor& tensor, const ModelFacts& facts) {
    if (!tensor.defined()) return {};
    if (!is_of_model_ && is_view(plain_name)) return {};
    const auto name = prefix_ + plain_name;
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
    const bool is_trained = is_adapters(name) || name == "bias" || name.ends_with(".bias");
    if (owns_ && is_trained && host.is_alias_of(tensor)) host = host.clone();
    const auto shape = shape_of(host);
    auto added = state_.add(name, *dtype, shape, bytes_of(host));
    keep_.push_back(std::move(host));
    return added;
  }

  static bool is_adapters(const std::string& name) {
    for (const char* part : {".lora_", ".ia3_", ".hada_", ".lokr_", ".oft_", ".vera_",
                             ".trainable_tokens_", ".modules_to_save."}) {
      if (("." + name).find(part) != std::string::npos) return true;
    }
    return false;
  }

  StateDict state_;
  std::string prefix_;
  bool owns_ = false;
  bool is_ours_ = false;
  bool is_of_model_ = true;
  std::vector<Tensor> keep_;  // The memory of the views.
};

/// VeRA's projections of each adapter that is to be saved with them.
inline std::map<std::string, Tensor> tensors_of_model(const Places& places) {
  std::map<std::string, Tensor> tensors;
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
    for (const auto& update : AdaptableAccess(*place.adaptable).updates()) {
      const auto* shared = update->projections();
      if (shared == nullptr || !update->config()->flag("save_projection", true)) continue;
      tensors.emplace("base_model.vera_A." + update->adapter(), shared->a);
      tensors.emplace("base_model.vera_B." + update->adapter(), shared->b);
    }
  }
  return tensors;
}

/// The factors that the layers apply now, where a config can say them (KY-12).
inline void note_scalings(const Places& places, ModelFacts& facts) {
  for (const auto& place : places) {
    if (place.adaptable == nullptr || !place.adaptable->is_adapted()) continue;
    for (const auto& update : AdaptableAccess(*place.adaptable).updates()) {
      if (update->has_scaling()) facts.scalings[update->adapter()][place.path] = update->scaling();
    }
  }
}

/// Names of the adapters among `names` that change nothing because they have not been trained.
inline std::vector<std::string> untrained(const Places& places,
                                          const std::vector<std::string>& names) {
  std::vector<std::string> idle;
  for (const auto& name : names) {
    bool trained = false;
    for (const auto& place : places) {
      if (place.adaptable == nullptr) continue;
      const AdaptableAccess access(*place.adaptable);
      if (auto* update = access.find(name)) trained = trained || !update->is_untrained();
      trained = trained || access.is_copy_trained(name);
      if (trained) break;
    }
    if (!trained) idle.push_back(name);
  }
  return idle;
}

/// The configs of a model's adapters, once it is sure that those to be saved can be.
inline Result<std::vector<NamedConfig>> configs_to_save(const Places& places,
                                                        const SaveOptions& options,
                                                        Untrained policy) {
  const auto adapters = adapters_of(places);
  if (adapters.configs.empty()) {
    return refuse(ErrorCode::kInvalidArgument, "LT-5",
                  "there is no adapter to save: the model has none");
  }
  auto names = options.selected_adapters;
  if (auto known = check_known(adapters, names); !known) return std::move(known).error();
  std::vector<NamedConfig> configs;
  for (const auto& [name, config] : adapters.configs) {
    configs.push_back({name, *config});
    if (options.selected_adapters.empty()) names.push_back(name);
  }
  const auto idle = detail::untrained(places, names);
  if (policy == Untrained::kRefuse && !idle.empty()) {
    return refuse(
        ErrorCode::kInvalidArgument, "LT-11",
        "nothing has been trained of " + name_list(idle) + ": such an adapter changes nothing");
  }
  return configs;
}

/// What a save reads of a model; completes the options with what the model knows.
inline Result<LiveState> prepare_save(const ModelRef& model, const Places& places,
                                      SaveOptions& options, bool owns, bool is_ours) {
  auto live =
      LiveState::read(model.module(), options.facts, tensors_of_model(places), owns, is_ours);
  if (!live) return live;
  if (!options.facts.is_transformers) options.facts.is_transformers = false;
  note_scalings(places, options.facts);
  return live;
}

inline Result<SaveReport> save_now(const ModelRef& model, const Places& places,
                                   std::span<const NamedConfig> configs,
                                   const std::filesystem::path& directory, SaveOptions options,
                                   bool is_ours) {
  const auto live = prepare_save(model, places, options, false, is_ours);
  if (!live) return live.error();
  return ferrule::save(live->state(), configs, directory, options);
}

}  // namespace detail

/// Saves adapters of a model whose parameters have the names that PEFT gives them, by whatever code
/// they were made them: a module of your own will do. `configs` says what they are. Selection,
/// verification, card and transaction are those of ferrule::save; tensors on the host are not
/// copied unless they are not contiguous.
inline Result<SaveReport> save_pretrained(const ModelRef& model,
                                          std::span<const NamedConfig> configs,
                                          const std::filesystem::path& directory,
                                          const SaveOptions& options = {}) {
  return detail::guarded(model, [&]() -> Result<SaveReport> {
    return detail::save_now(model, detail::places_of(model), configs, directory, options, false);
  });
}

/// Saves the adapters of a model as PeftModel.save_pretrained does: "default" into `directory`,
/// others into `directory/NAME`, together or not at all.
///
/// Fails with kInvalidArgument for a model without adapters and for names it does not have (LT-5),
/// and for an adapter that is not trained and changes nothing (LT-11, see Untrained); otherwise as
/// ferrule::save.
inline Result<SaveReport> save_pretrained(const ModelRef& model,
                                          const std::filesystem::path& directory,
                                          const SaveOptions& options = {},
                                          Untrained untrained = Untrained::kRefuse) {
  return detail::guarded(model, [&]() -> Result<SaveReport> {
    const auto places = detail::places_of(model);
    const auto configs = detail::configs_to_save(places, options, untrained);
    if (!configs) return configs.error();
    return detail::save_now(model, places, *configs, directory, options, true);
  });
}

}  // namespace ferrule::libtorch
