// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "adapter/card.hpp"
#include "adapter/card_metadata.hpp"

namespace ferrule::adapter {

/// The part of a card that Ferrule writes and keeps up to date: what the adapters are and how to
/// load them. Ends with a line break.
std::string card_content(std::span<const CardAdapter> adapters, const CardMetadata& data);

/// The whole text of a new card, below the front matter.
std::string new_card_body(std::span<const CardAdapter> adapters, const CardMetadata& data);

}  // namespace ferrule::adapter
