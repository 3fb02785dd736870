// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ferrule/finding.hpp"
#include "ferrule/model_facts.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "peft/key_path.hpp"
#include "peft/method.hpp"

namespace ferrule::peft {

/// A live key taken apart for one adapter: `base_model.model.PATH.ATTRIBUTE.NAME.LEAF`.
struct AdapterKey {
  const Role* role;
  /// Live path of the tuner layer, "base_model." for the model's own tensors.
  std::string_view path;
  /// What follows the adapter's name (precedes it for NamePlace::kAtEnd); may be empty.
  std::string_view leaf;
  /// The attribute as the key has it: a role's, or one that only its prefix explains.
  std::string_view attribute;
};

/// A state dict without its wrappers and with its structure read from the names: which modules
/// are tuner layers, and which keys are shared memory. Views live as long as the source.
class StateLayout {
 public:
  /// Removes `module.` (DDP), `_orig_mod` (torch.compile), `_fsdp_wrapped_module` and
  /// `_checkpoint_wrapped_module`, and anything in front of `base_model.`; puts
  /// `base_model.model.` in front of the keys of a model with injected layers. Each step is a note.
  /// `facts` say which modules are tuner layers; without them, the names show it.
  /// Fails with kCorrupt (KY-2) if two keys become one.
  static Result<StateLayout> read(const TensorSource& state, const ModelFacts& facts);

  using Entries = std::map<std::string, TensorView, std::less<>>;
  /// Normalized key -> tensor, dropped aliases included.
  const Entries& entries() const noexcept { return entries_; }
  std::optional<TensorView> find(std::string_view key) const;

  /// True if the module at that live path owns a `base_layer`.
  bool is_tuner_layer(std::string_view path) const { return tuner_layers_.contains(path); }
  bool has_tuner_layers() const noexcept { return structure_known_ || !tuner_layers_.empty(); }

  /// Takes `key` apart as a tensor of adapter `name`, or nullopt if it is not one. Known attributes
  /// are found anywhere; unknown ones only below a tuner layer and with the method's prefix.
  std::optional<AdapterKey> parse(std::string_view key, const Method& method,
                                  std::string_view name) const;

  /// True if the key belongs to some adapter (any method, any name) or to a wrapper's copy of a
  /// module, and not to the base model.
  bool is_adapter_key(std::string_view key) const;

  /// True for models whose layers were injected without a PeftModel around them.
  bool injected() const noexcept { return injected_; }

  const std::vector<Finding>& notes() const noexcept { return notes_; }

 private:
  using KeyedTensor = std::pair<std::string, TensorView>;

  /// The tensors and dropped aliases without what wrappers put in front of their keys.
  std::vector<KeyedTensor> without_prefixes(const TensorSource& state);
  Result<void> enter(std::vector<KeyedTensor>& tensors);
  void find_tuner_layers(const ModelFacts& facts);

  Entries entries_;
  std::set<std::string, std::less<>> tuner_layers_;
  std::vector<Finding> notes_;
  bool injected_ = false;
  bool structure_known_ = false;
};

/// True for a tensor of a prompt, live or saved: it belongs to no layer.
bool is_prompt_key(std::string_view key) noexcept;

/// True if the views are the same memory.
bool same_memory(const TensorView& a, const TensorView& b) noexcept;

}  // namespace ferrule::peft
