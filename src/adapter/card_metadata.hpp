// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapter/card.hpp"

namespace ferrule::adapter {

/// PEFT's tag of a card that belongs to an adapter; the base model's id follows.
inline constexpr std::string_view kAdapterTag = "base_model:adapter:";

/// The front matter that PEFT would write, before it meets an existing card.
struct CardMetadata {
  /// The base model's id on the Hub; absent if it has none (MC-5).
  std::optional<std::string> base_model;
  /// The name that was left out because it is not such an id.
  std::optional<std::string> local_base_model;
  /// Sorted, each once.
  std::vector<std::string> tags;
  std::optional<std::string> pipeline_tag;
  /// The PEFT that the card names.
  std::string peft_version;
  /// Whether the base model is one of transformers', as far as is known.
  bool is_transformers = false;
  /// As in CardOptions.
  bool plain = false;
};

/// `active` is the adapter whose method and task the card goes by.
CardMetadata card_metadata(const CardAdapter& active, const ModelFacts& facts,
                           const CardOptions& options);

}  // namespace ferrule::adapter
