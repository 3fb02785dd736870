// SPDX-License-Identifier: Apache-2.0
#include "peft/targets.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/try.hpp"
#include "peft/state_layout.hpp"

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
  return path == name ||
         (path.size() > name.size() && path.ends_with(name) &&
          path[path.size() - name.size() - 1] == '.');
}

bool is_all_linear(const ModuleSelector& selector) {
  return selector.is_pattern && selector.pattern.size() == kAllLinear.size() &&
         std::equal(kAllLinear.begin(), kAllLinear.end(), selector.pattern.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
}

/// modules_to_save entries hit a module of that name, and everything below it.
bool is_saved(const std::vector<std::string>& entries, std::string_view path) {
  for (const auto& entry : entries) {
    for (auto at = path.find(entry); at != std::string_view::npos; at = path.find(entry, at + 1)) {
      const bool starts = at == 0 || path[at - 1] == '.';
      const auto end = at + entry.size();
      if (starts && (end == path.size() || path[end] == '.')) return true;
    }
  }
  return false;
}

std::vector<std::string> texts(const Json* value) {
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (const auto* text = value->if_string()) out.push_back(*text);
  if (const auto* items = value->if_array()) {
    for (const auto& item : *items) {
      if (const auto* text = item.if_string()) out.push_back(*text);
    }
  }
  return out;
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
  if (auto selector = config.target_modules(); selector && !is_all_linear(*selector)) {
    rule.is_pattern_ = selector->is_pattern;
    rule.names_.insert(selector->names.begin(), selector->names.end());
    FERRULE_TRY(rule.selector_, CompiledSelector::compile(std::move(*selector)));
  }
  if (auto excluded = config.exclude_modules()) {
    FERRULE_TRY(rule.excluded_, CompiledSelector::compile(std::move(*excluded)));
  }
  rule.saved_ = config.modules_to_save();
  rule.parameters_ = config.target_parameters();
  if (const auto* layers = config.find("layers_to_transform"); layers != nullptr) {
    if (const auto* one = layers->if_int64()) rule.layers_.insert(*one);
    if (const auto* several = layers->if_array()) {
      for (const auto& item : *several) {
        if (const auto* number = item.if_int64()) rule.layers_.insert(*number);
      }
    }
  }
  rule.layer_patterns_ = texts(config.find("layers_pattern"));
  return rule;
}

bool TargetRule::layer_fits(std::string_view path) const {
  if (layers_.empty()) return true;
  std::optional<std::uint64_t> number;
  if (layer_patterns_.empty()) {
    number = layer_number(path);
  } else {
    const auto parts = split(path);
    for (const auto& pattern : layer_patterns_) {
      for (std::size_t i = 1; i + 2 < parts.size() && !number; ++i) {
        if (parts[i] == pattern) number = to_number(parts[i + 1]);
      }
      if (number) break;
    }
  }
  return number && layers_.contains(static_cast<std::int64_t>(*number));
}

Result<bool> TargetRule::selects(std::string_view path) const {
  if (!selector_) return false;
  if (excluded_) {
    FERRULE_TRY(const bool out, excluded_->selects(path));
    if (out) return false;
  }
  if (is_saved(saved_, path)) return false;
  if (is_pattern_) return selector_->selects(path);
  if (names_.contains(path)) return true;
  FERRULE_TRY(const bool named, selector_->selects(path));
  return named && layer_fits(path);
}

bool TargetRule::selects_parameter(std::string_view path) const noexcept {
  return std::any_of(parameters_.begin(), parameters_.end(),
                     [&](const std::string& name) { return names_suffix(path, name); });
}

}  // namespace ferrule::peft
