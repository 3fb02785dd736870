// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "ferrule/adapter_config.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// What a config says about one module of the base model.
enum class Targeting : std::uint8_t {
  kNo,
  /// target_modules names it, and layers_to_transform does not speak against it.
  kTargeted,
  /// exclude_modules names it, or it is one of modules_to_save or in one.
  kExcluded,
};

/// PEFT's rules of which modules an adapter changes, and with what strength, made ready to be asked
/// about many modules: every expression is compiled once. Paths are the base model's own, without
/// `base_model.model.`. Const members may be called from any number of threads.
class FERRULE_API ModuleTargets {
 public:
  /// Expand `all-linear` first, which needs the classes of the modules; here it is an
  /// expression like any other. Fails with kCorrupt (CF-20) or kUnsupported (CF-21) on one.
  static Result<ModuleTargets> compile(const AdapterConfig& config);

  ModuleTargets(ModuleTargets&&) noexcept;
  ModuleTargets& operator=(ModuleTargets&&) noexcept;
  ~ModuleTargets();

  /// As PEFT's check_target_module_exists. Fails with kLimitExceeded (CF-22).
  Result<Targeting> judge(std::string_view module_path) const;

  /// Whether modules_to_save asks for a trained copy of it: an entry ends the path.
  bool is_saved_whole(std::string_view module_path) const noexcept;

  /// IA3: whether feedforward_modules names it. Fails with kLimitExceeded (CF-22).
  Result<bool> is_feedforward(std::string_view module_path) const;

  /// As resolve_strength.
  Result<ModuleStrength> strength(std::string_view module_path) const;

 private:
  struct Rep;
  explicit ModuleTargets(std::unique_ptr<Rep> rep) noexcept;
  std::unique_ptr<Rep> rep_;
};

}  // namespace ferrule
