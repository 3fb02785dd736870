// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ferrule/json.hpp"

namespace ferrule::peft {

/// What a field may hold, as bits. A float takes integers too, a bool takes null (PEFT reads None
/// as false), and no number takes a bool.
namespace kind {
inline constexpr std::uint32_t kNull = 1U << 0;
inline constexpr std::uint32_t kBool = 1U << 1;
inline constexpr std::uint32_t kInt = 1U << 2;
inline constexpr std::uint32_t kFloat = 1U << 3;
inline constexpr std::uint32_t kString = 1U << 4;
inline constexpr std::uint32_t kStringList = 1U << 5;
inline constexpr std::uint32_t kIntList = 1U << 6;
inline constexpr std::uint32_t kIntPairs = 1U << 7;
inline constexpr std::uint32_t kObject = 1U << 8;
inline constexpr std::uint32_t kStringObject = 1U << 9;
inline constexpr std::uint32_t kIntObject = 1U << 10;
inline constexpr std::uint32_t kNumberObject = 1U << 11;
inline constexpr std::uint32_t kIntListObject = 1U << 12;
inline constexpr std::uint32_t kBoolListObject = 1U << 13;
}  // namespace kind

/// True if a value is of one of these kinds.
bool holds(std::uint32_t kinds, const Json& value) noexcept;

/// "an integer or null", for messages.
std::string describe_kinds(std::uint32_t kinds);

/// A default without the cost of a Json: every default of PEFT is one of these.
struct FieldDefault {
  enum class Kind : std::uint8_t { kNull, kBool, kInteger, kReal, kText, kList, kObject };
  Kind kind = Kind::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text = {};

  Json to_json() const;
};

struct FieldSchema {
  std::string_view name;
  std::uint32_t kinds;
  FieldDefault default_value;
  bool is_set;  ///< PEFT keeps the list as a set: its order means nothing.
};

/// One config class: its fields, sorted by name.
struct TypeSchema {
  std::string_view name;
  std::span<const FieldSchema> fields;

  const FieldSchema* find(std::string_view field) const noexcept;
};

/// The schema of a PEFT type, or nullptr.
const TypeSchema* find_type(std::string_view peft_type) noexcept;

/// The schema of a nested config of LoRA ("eva_config"), or nullptr.
const TypeSchema* find_sub_config(std::string_view field) noexcept;

std::span<const std::string_view> task_types() noexcept;
std::span<const std::string_view> wavelet_families() noexcept;
std::span<const std::string_view> activations() noexcept;

}  // namespace ferrule::peft
