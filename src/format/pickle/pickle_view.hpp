// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "format/pickle/pickle.hpp"

namespace ferrule::format {

/// Reads the values of a pickle by what they should be; every answer is nullopt for a value of
/// another type. Costs no copy of a container.
class PickleView {
 public:
  /// `pickle` must outlive the view and what it hands out.
  explicit PickleView(const Pickle& pickle) noexcept : pickle_(&pickle) {}

  const PickleValue& root() const noexcept { return pickle_->root(); }

  /// Keys and values of a dict in turn; empty if it is not one.
  std::span<const PickleValue> pairs(const PickleValue& dict) const noexcept;
  /// The value under a string key. If the key occurs more than once, the last one, as in Python.
  std::optional<PickleValue> find(const PickleValue& dict, std::string_view key) const noexcept;
  /// Of a chain of dicts.
  std::optional<PickleValue> find_path(const PickleValue& dict,
                                       std::initializer_list<std::string_view> keys) const noexcept;

  /// Items of a list or a tuple; empty if it is neither.
  std::span<const PickleValue> items(const PickleValue& sequence) const noexcept;
  bool is_sequence(const PickleValue& value) const noexcept {
    return value.kind == PickleValue::Kind::kList || value.kind == PickleValue::Kind::kTuple;
  }
  bool is_dict(const PickleValue& value) const noexcept {
    return value.kind == PickleValue::Kind::kDict;
  }

  std::optional<std::string_view> text(const PickleValue& value) const noexcept;
  std::optional<std::uint64_t> count(const PickleValue& value) const noexcept;
  /// An int, a bool or a float with a whole value.
  std::optional<std::int64_t> integer(const PickleValue& value) const noexcept;
  /// Counts in a tuple, a list or a torch.Size.
  std::optional<std::vector<std::uint64_t>> counts(const PickleValue& value) const;

  /// What an object was made of: the global that was called, and its arguments.
  const PickleGlobal* made_by(const PickleValue& value) const noexcept;
  bool is_made_by(const PickleValue& value, std::string_view module,
                  std::string_view name) const noexcept;
  std::span<const PickleValue> arguments(const PickleValue& value) const noexcept;
  /// What BUILD gave the object: attributes as a dict, or whatever its class wanted.
  std::optional<PickleValue> state(const PickleValue& value) const noexcept;
  /// One attribute of the object.
  std::optional<PickleValue> attribute(const PickleValue& object,
                                       std::string_view name) const noexcept;

  const PickleGlobal* global(const PickleValue& value) const noexcept;

 private:
  const Pickle* pickle_;
};

/// True if both describe the same plain data (numbers, texts, lists, dicts), in the same order.
/// Objects and tensors count as equal to anything of their kind. `budget` bounds the work.
bool same_plain_data(const Pickle& a, const PickleValue& in_a, const Pickle& b,
                     const PickleValue& in_b, std::size_t& budget) noexcept;

}  // namespace ferrule::format
