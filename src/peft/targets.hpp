// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"
#include "ferrule/targeting.hpp"

namespace ferrule::peft {

/// ModuleTargets for those who do not know the classes of the base's modules, and with
/// target_parameters.
class TargetRule {
 public:
  /// Fails with kCorrupt or kUnsupported (CF-20, CF-21) on an expression.
  static Result<TargetRule> compile(const AdapterConfig& config);

  /// True if the config has target_modules that can be asked (not the shorthand "all-linear").
  bool known() const noexcept { return modules_.has_value(); }

  /// Whether a layer is made for the module at that path. Fails with kLimitExceeded (CF-22).
  Result<bool> selects(std::string_view path) const;

  /// Whether `module.parameter` is one of target_parameters.
  bool selects_parameter(std::string_view path) const noexcept;

 private:
  std::optional<ModuleTargets> modules_;
  std::vector<std::string> parameters_;
};

/// The number of the layer that a path is in, as PEFT finds it without a pattern: the first
/// number that has two components before it or more and something after it. nullopt if there is
/// none.
std::optional<std::uint64_t> layer_number(std::string_view path);

}  // namespace ferrule::peft
