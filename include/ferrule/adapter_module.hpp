// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "ferrule/export.hpp"
#include "ferrule/tensor_view.hpp"

namespace ferrule {

/// A tensor of an adapter: what it is called on disk, and what it is to its method.
struct AdapterTensor {
  /// The key in the file.
  std::string_view key;
  /// The method's own word for it ("lora_A", "ia3_l", "hada_w1_a"; method_roles() lists them);
  /// "modules_to_save", "bias", "embedding" or "trainable_tokens" for what every method may carry;
  /// empty if nothing explains it (an AD finding says so).
  std::string_view role;
  /// The rest of the key below the role ("weight", "bias", "0.weight"); may be empty.
  std::string_view leaf;
  TensorView tensor;
};

/// A module of the base model that the adapter changes, with its tensors. Part of an Adapter, which
/// hands it out and keeps it alive.
class FERRULE_API AdapterModule {
 public:
  /// The path in the base model, without `base_model.model.`; empty for what belongs to the whole
  /// model (a shared projection, a prompt).
  std::string_view path() const& noexcept { return path_; }
  std::string_view path() const&& = delete;

  std::span<const AdapterTensor> tensors() const& noexcept { return tensors_; }
  std::span<const AdapterTensor> tensors() const&& = delete;

  /// The tensor of that role, or nullptr. If a role has several (`lora_B.weight` and
  /// `lora_B.bias`), the weight; ask with the leaf ("lora_B.bias") for others.
  const AdapterTensor* find(std::string_view role) const& noexcept;
  const AdapterTensor* find(std::string_view role) const&& = delete;

  /// As find(), but only the values.
  std::optional<TensorView> tensor(std::string_view role) const noexcept;

  /// The factor on the update, r, alpha, rsLoRA and patterns resolved; 1 if the method has none.
  double strength() const noexcept { return strength_.strength.value_or(1.0); }

  /// The same with its rank, alpha and the rule that won.
  const ModuleStrength& resolved() const& noexcept { return strength_; }
  const ModuleStrength& resolved() const&& = delete;

 private:
  friend struct AdapterAccess;
  std::string_view path_;
  std::span<const AdapterTensor> tensors_;
  ModuleStrength strength_;
};

}  // namespace ferrule
