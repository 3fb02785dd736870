// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "model/base_model.hpp"

namespace ferrule::checks {

/// An adapter's config as PEFT holds it once it is on the model: "all-linear" spelled out, and for
/// families whose experts transformers 5 fuses, targets and ranks of the fused parameters.
struct LiveConfig {
  AdapterConfig config;
  /// target_modules was "all-linear".
  bool all_linear = false;
  /// Targets of single experts became those of fused parameters.
  bool fused = false;
  /// Why PEFT raises ValueError (BS-5): half of a fused pair is targeted.
  std::optional<Finding> refused;
};

/// Source: PEFT 0.21, convert_peft_config_for_transformers and _maybe_include_all_linear_layers.
/// Fails with kLimitExceeded (CF-22) on an expression that takes too long.
Result<LiveConfig> live_config(const AdapterConfig& config, const model::BaseIndex& base);

/// True if the config names "all-linear".
bool targets_all_linear(const AdapterConfig& config);

}  // namespace ferrule::checks
