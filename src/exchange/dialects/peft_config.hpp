// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/middle.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// A layer as PEFT builds it: a module, or a parameter of fused experts.
struct PeftLayer {
  /// The path under which PEFT looks up rank and alpha.
  std::string path;
  std::uint64_t rank = 0;
  double scale = 1;
  std::optional<double> alpha = {};
  /// An entry of target_parameters instead of one of target_modules.
  bool is_parameter = false;
  SiteKind kind = SiteKind::kLinear;
};

/// A config under which PEFT builds exactly these layers with these ranks and strengths. Fields
/// that the source's own config had beside them stay.
Result<AdapterConfig> peft_config(const Middle& middle, const std::string& component,
                                  std::span<const PeftLayer> layers, const BaseFacts& base);

}  // namespace ferrule::exchange
