// SPDX-License-Identifier: Apache-2.0
#include "peft/targets.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/try.hpp"
#include "peft/key_path.hpp"

namespace ferrule::peft {
namespace {

constexpr std::string_view kAllLinear = "all-linear";

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool names_suffix(std::string_view path, std::string_view name) {
  return path == name || (path.size() > name.size() && path.ends_with(name) &&
                          path[path.size() - name.size() - 1] == '.');
}

bool is_all_linear(const ModuleSelector& selector) {
  return selector.is_pattern && selector.pattern.size() == kAllLinear.size() &&
         std::equal(kAllLinear.begin(), kAllLinear.end(), selector.pattern.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

}  // namespace

std::optional<std::uint64_t> layer_number(std::string_view path) {
  const auto parts = split(path);
  for (std::size_t i = 2; i + 1 < parts.size(); ++i) {
    if (const auto number = to_number(parts[i])) return number;
  }
  return std::nullopt;
}

Result<TargetRule> TargetRule::compile(const AdapterConfig& config) {
  TargetRule rule;
  const auto selector = config.target_modules();
  if (selector && !is_all_linear(*selector)) {
    FERRULE_TRY(rule.modules_, ModuleTargets::compile(config));
  }
  rule.parameters_ = config.target_parameters();
  return rule;
}

Result<bool> TargetRule::selects(std::string_view path) const {
  if (!modules_) return false;
  FERRULE_TRY(const auto verdict, modules_->judge(path));
  return verdict == Targeting::kTargeted;
}

bool TargetRule::selects_parameter(std::string_view path) const noexcept {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const std::string& name) { return names_suffix(path, name); });
}

}  // namespace ferrule::peft
