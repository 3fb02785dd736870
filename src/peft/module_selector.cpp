// SPDX-License-Identifier: Apache-2.0
#include "peft/module_selector.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/try.hpp"

namespace ferrule::peft {

Result<CompiledSelector> CompiledSelector::compile(ModuleSelector selector) {
  CompiledSelector compiled;
  if (selector.is_pattern) {
    FERRULE_TRY(compiled.pattern_, regex::Pattern::compile(selector.pattern));
  }
  compiled.names_ = std::move(selector.names);
  std::sort(compiled.names_.begin(), compiled.names_.end());
  return compiled;
}

Result<bool> CompiledSelector::selects(std::string_view module_path) const {
  if (pattern_) return pattern_->fullmatch(module_path);
  const auto is_named = [this](std::string_view tail) {
    return std::binary_search(names_.begin(), names_.end(), tail, std::less<std::string_view>());
  };
  if (is_named(module_path)) return true;
  for (auto dot = module_path.find('.'); dot != std::string_view::npos;
       dot = module_path.find('.', dot + 1)) {
    if (is_named(module_path.substr(dot + 1))) return true;
  }
  return false;
}

}  // namespace ferrule::peft
