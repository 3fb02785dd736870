// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"
#include "regex/pattern.hpp"

namespace ferrule::peft {

/// A ModuleSelector made ready to be asked about many modules.
class CompiledSelector {
 public:
  /// Fails as Pattern::compile does.
  static Result<CompiledSelector> compile(ModuleSelector selector);

  /// Whether it names the module at that path: the whole path matches the pattern, or the path
  /// equals a name or ends in "." and it. Fails as Pattern::fullmatch does.
  Result<bool> selects(std::string_view module_path) const;

 private:
  std::vector<std::string> names_;  // Sorted: no choice of names makes looking up slow.
  std::optional<regex::Pattern> pattern_;
};

}  // namespace ferrule::peft
