// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ferrule/adapter_config.hpp"

namespace ferrule {

/// PEFT's `save_embedding_layers`: whether an adapter is saved with the base's embeddings.
enum class SaveEmbeddings : std::uint8_t {
  kAuto,  ///< If the adapter targets them, or if the vocabulary was resized.
  kAlways,
  kNever,
};

/// An adapter's name in the state dict and its config.
struct NamedConfig {
  std::string name;
  AdapterConfig config;
  /// For this adapter in place of SaveOptions::save_embedding_layers.
  std::optional<SaveEmbeddings> save_embedding_layers = {};
};

/// A tensor that was not saved for an adapter although a reader might expect it.
struct LeftOut {
  std::string key;
  std::string why;
};

}  // namespace ferrule
