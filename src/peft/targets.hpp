// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"
#include "peft/pattern.hpp"

namespace ferrule::peft {

/// Which modules of a base PEFT would adapt, as its check_target_module_exists decides it:
/// target_modules, exclude_modules, modules_to_save, layers_to_transform, layers_pattern.
class TargetRule {
 public:
  /// Fails with kCorrupt or kUnsupported (CF-20, CF-21) on an expression.
  static Result<TargetRule> compile(const AdapterConfig& config);

  /// True where the config has target_modules that can be asked (not the shorthand "all-linear").
  bool known() const noexcept { return selector_.has_value(); }

  /// Whether a layer is made for the module at that path. Fails with kLimitExceeded (CF-22).
  Result<bool> selects(std::string_view path) const;

  /// Whether `module.parameter` is one of target_parameters.
  bool selects_parameter(std::string_view path) const noexcept;

 private:
  bool layer_fits(std::string_view path) const;

  std::optional<CompiledSelector> selector_;
  std::optional<CompiledSelector> excluded_;
  bool is_pattern_ = false;
  std::set<std::string, std::less<>> names_;
  std::vector<std::string> saved_;
  std::vector<std::string> parameters_;
  std::set<std::int64_t> layers_;
  std::vector<std::string> layer_patterns_;
};

/// The number of the layer that a path lies in, as PEFT finds it without a pattern: the first number
/// that has two components before it or more and something behind it. nullopt where there is none.
std::optional<std::uint64_t> layer_number(std::string_view path);

}  // namespace ferrule::peft
