// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "peft/method.hpp"

namespace ferrule::peft {

/// What a key in an adapter's file is.
enum class KeyKind : std::uint8_t {
  kMethod,         ///< A tensor of the config's own method.
  kPrompt,         ///< A prompt-learning tensor.
  kModulesToSave,  ///< A trained copy of a module of the base.
  kTokens,         ///< The delta of trainable tokens.
  kBias,           ///< A bias of the base, as `bias` asks for.
  kEmbedding,      ///< An embedding of the base, as save_embedding_layers asks for.
  kIgnored,        ///< PEFT wrote it and does not read it (boft_P of old releases, stray biases).
  kNameLeft,       ///< A tensor of the method with an adapter's name still in its key.
  kObsolete,       ///< A spelling that PEFT no longer reads (oft_r).
  kForeign,        ///< A tensor of another method.
  kUnknown,        ///< Nothing explains it.
};

/// A disk key taken apart. Views point into the key.
struct DiskKey {
  KeyKind kind = KeyKind::kUnknown;
  Scope scope = Scope::kLayer;
  const Role* role = nullptr;
  /// The module's path with its prefix ("base_model.model.model.layers.0.q_proj").
  std::string_view module;
  /// The attribute ("lora_A"), or the tensor's own name for other kinds.
  std::string_view attribute;
  /// What follows the attribute.
  std::string_view leaf;
  /// kForeign: that method's type; kNameLeft: the adapter's name; kPrompt: what the encoder of a
  /// live model calls it.
  std::string_view other;
};

/// Takes a disk key apart by the config's method (which must be known).
DiskKey parse_disk_key(std::string_view key, const AdapterConfig& config, const Method& method);

/// The key under which a live PEFT model with an adapter called `name` holds it.
std::string live_key(std::string_view key, const DiskKey& parsed, std::string_view name);

/// The module's path in the base model: without `base_model.model.` (or `base_model.`).
std::string_view base_path(std::string_view module);

}  // namespace ferrule::peft
