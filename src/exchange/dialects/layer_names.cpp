// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/layer_names.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace ferrule::exchange {
namespace {

using Pair = LayerNames::Pair;
using Side = std::string_view Pair::*;

std::optional<std::string_view> other(std::span<const Pair> pairs, std::string_view name, Side from,
                                      Side to) {
  const auto found = std::find_if(pairs.begin(), pairs.end(),
                                  [&](const Pair& pair) { return pair.*from == name; });
  if (found == pairs.end()) return std::nullopt;
  return (*found).*to;
}

/// "mlp.experts.3.gate_proj"
std::optional<std::string> expert(const LayerNames& names, std::string_view path, Side from,
                                  Side to) {
  const auto head = names.experts.*from;
  if (head.empty() || !path.starts_with(head)) return std::nullopt;
  path.remove_prefix(head.size());
  const auto dot = path.find('.');
  if (dot == std::string_view::npos || dot >= 10 || !base::is_number(path.substr(0, dot))) {
    return std::nullopt;
  }
  const auto part = other(names.expert_parts, path.substr(dot + 1), from, to);
  if (!part) return std::nullopt;
  return std::string(names.experts.*to) + std::string(path.substr(0, dot + 1)) + std::string(*part);
}

std::optional<std::string> translated(const LayerNames& names, std::string_view path, Side from,
                                      Side to) {
  if (const auto whole = other(names.outside, path, from, to)) return std::string(*whole);
  const auto head = names.layers.*from;
  if (!path.starts_with(head)) return std::nullopt;
  path.remove_prefix(head.size());
  const auto dot = path.find('.');
  if (dot == std::string_view::npos || dot >= 10 || !base::is_number(path.substr(0, dot))) {
    return std::nullopt;
  }
  const auto number = std::string(names.layers.*to) + std::string(path.substr(0, dot + 1));
  path.remove_prefix(dot + 1);
  if (const auto inside = other(names.inside, path, from, to)) return number + std::string(*inside);
  const auto inside = expert(names, path, from, to);
  return inside ? std::optional(number + *inside) : std::nullopt;
}

}  // namespace

std::optional<std::string> LayerNames::to_transformers(std::string_view path) const {
  return translated(*this, path, &Pair::second, &Pair::first);
}

std::optional<std::string> LayerNames::from_transformers(std::string_view path) const {
  return translated(*this, path, &Pair::first, &Pair::second);
}

}  // namespace ferrule::exchange
