// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/model_facts.hpp"

namespace ferrule::adapter {

/// What a card says about one adapter. Strings are untrusted; the card quotes them.
struct CardAdapter {
  std::string name;
  const AdapterConfig* config = nullptr;
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  /// Size of the weights file.
  std::uint64_t file_bytes = 0;
  std::vector<std::string> module_paths;
  /// The smallest and largest strength of its modules; absent if the method has none.
  std::optional<double> strength_min;
  std::optional<double> strength_max;
  /// What the tensors are stored as, such as "F32" or "BF16, F32".
  std::string dtype;
};

struct CardResult {
  std::string text;
  /// Whether `text` differs from the card that was there.
  bool changed = false;
  /// Warnings and notes (MC-*), never an error. Their path is empty: the caller knows it.
  std::vector<Finding> findings;
};

struct CardOptions {
  /// Whether the base model's name is known to be a directory on this machine.
  bool base_is_local = false;
  /// Leaves out the section about Ferrule.
  bool plain = false;
};

/// The card of an adapter directory that holds these adapters, "default" or else the first of
/// them being the active one. `existing` is the card that is there already. One that cannot be read
/// or edited is returned as it is, with a warning. Deterministic: the same arguments give the same
/// text, and a second run on its own result changes nothing.
CardResult make_card(std::span<const CardAdapter> adapters, const ModelFacts& facts,
                     const std::optional<std::string>& existing, const CardOptions& options = {});

/// What the MC rules find in a card, for `verify`: warnings and notes.
std::vector<Finding> check_card(std::string_view text, std::string_view path);

}  // namespace ferrule::adapter
