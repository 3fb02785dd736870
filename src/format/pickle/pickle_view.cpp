// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_view.hpp"

#include <cmath>

namespace ferrule::format {

using Kind = PickleValue::Kind;

std::span<const PickleValue> PickleView::pairs(const PickleValue& dict) const noexcept {
  if (dict.kind != Kind::kDict) return {};
  const std::span<const PickleValue> all(pickle_->node(dict).items);
  return all.first(all.size() / 2 * 2);
}

std::optional<PickleValue> PickleView::find(const PickleValue& dict,
                                            std::string_view key) const noexcept {
  const auto all = pairs(dict);
  for (std::size_t i = all.size(); i >= 2; i -= 2) {
    if (all[i - 2].kind == Kind::kString && all[i - 2].string() == key) return all[i - 1];
  }
  return std::nullopt;
}

std::optional<PickleValue> PickleView::find_path(
    const PickleValue& dict, std::initializer_list<std::string_view> keys) const noexcept {
  std::optional<PickleValue> value = dict;
  for (const auto key : keys) {
    if (!value) break;
    value = find(*value, key);
  }
  return value;
}

std::span<const PickleValue> PickleView::items(const PickleValue& sequence) const noexcept {
  if (!is_sequence(sequence)) return {};
  return pickle_->node(sequence).items;
}

std::optional<std::string_view> PickleView::text(const PickleValue& value) const noexcept {
  if (value.kind != Kind::kString) return std::nullopt;
  return value.string();
}

std::optional<std::uint64_t> PickleView::count(const PickleValue& value) const noexcept {
  if (value.kind != Kind::kInt || value.integer < 0) return std::nullopt;
  return static_cast<std::uint64_t>(value.integer);
}

std::optional<std::int64_t> PickleView::integer(const PickleValue& value) const noexcept {
  if (value.kind == Kind::kInt || value.kind == Kind::kBool) return value.integer;
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value.kind == Kind::kFloat && std::trunc(value.real) == value.real &&
      std::fabs(value.real) < kExact) {
    return static_cast<std::int64_t>(value.real);
  }
  return std::nullopt;
}

std::optional<std::vector<std::uint64_t>> PickleView::counts(const PickleValue& value) const {
  PickleValue sequence = value;
  if (is_made_by(value, "torch", "Size")) {
    const auto given = arguments(value);
    if (given.size() != 1) return std::nullopt;
    sequence = given[0];
  }
  if (!is_sequence(sequence)) return std::nullopt;
  std::vector<std::uint64_t> out;
  for (const auto& item : items(sequence)) {
    const auto number = count(item);
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

const PickleGlobal* PickleView::made_by(const PickleValue& value) const noexcept {
  if (value.kind != Kind::kCall) return nullptr;
  const auto& call = pickle_->node(value).items;
  return call.empty() ? nullptr : global(call[0]);
}

bool PickleView::is_made_by(const PickleValue& value, std::string_view module,
                            std::string_view name) const noexcept {
  const auto* maker = made_by(value);
  return maker != nullptr && maker->name == name && maker->module == module;
}

std::span<const PickleValue> PickleView::arguments(const PickleValue& value) const noexcept {
  if (value.kind != Kind::kCall) return {};
  const auto& call = pickle_->node(value).items;
  if (call.size() < 2) return {};
  return items(call[1]);
}

std::optional<PickleValue> PickleView::state(const PickleValue& value) const noexcept {
  if (value.kind != Kind::kCall) return std::nullopt;
  const auto& call = pickle_->node(value).items;
  if (call.size() < 3) return std::nullopt;
  return call.back();
}

std::optional<PickleValue> PickleView::attribute(const PickleValue& object,
                                                 std::string_view name) const noexcept {
  const auto attributes = state(object);
  if (!attributes) return std::nullopt;
  // Of a class with __slots__ a pair: what is in __dict__, and the slots.
  const auto both = items(*attributes);
  if (both.size() == 2 && is_dict(both[1])) {
    if (const auto slot = find(both[1], name)) return slot;
    return find(both[0], name);
  }
  return find(*attributes, name);
}

const PickleGlobal* PickleView::global(const PickleValue& value) const noexcept {
  return value.kind == Kind::kGlobal ? &pickle_->global(value) : nullptr;
}

bool same_plain_data(const Pickle& a, const PickleValue& in_a, const Pickle& b,
                     const PickleValue& in_b, std::size_t& budget) noexcept {
  if (budget == 0) return true;  // Beyond it nothing is proved, and nothing is refused.
  --budget;
  if (in_a.kind != in_b.kind) return false;
  switch (in_a.kind) {
    case Kind::kNone:
      return true;
    case Kind::kBool:
    case Kind::kInt:
      return in_a.integer == in_b.integer;
    case Kind::kFloat:
      return in_a.real == in_b.real || (std::isnan(in_a.real) && std::isnan(in_b.real));
    case Kind::kBigInt:
    case Kind::kString:
    case Kind::kBytes:
      return in_a.string() == in_b.string();
    case Kind::kTuple:
    case Kind::kList:
    case Kind::kDict: {
      // The depth of a pickle's values is limited (PK-7).
      const auto& items_a = a.node(in_a).items;
      const auto& items_b = b.node(in_b).items;
      if (items_a.size() != items_b.size()) return false;
      for (std::size_t i = 0; i < items_a.size(); ++i) {
        if (!same_plain_data(a, items_a[i], b, items_b[i], budget)) return false;
      }
      return true;
    }
    default:
      return true;
  }
}

}  // namespace ferrule::format
