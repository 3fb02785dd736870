// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::publishing {

inline constexpr const char* kCurrent = "current";
inline constexpr const char* kNumber = ".generation";
inline constexpr std::uint64_t kMaxGeneration = 99'999'999;

/// "00000007".
inline std::string folder_of(std::uint64_t generation) {
  char text[32];
  std::snprintf(text, sizeof text, "%08llu", static_cast<unsigned long long>(generation));
  return text;
}

/// The generation that a folder of that name is; nullopt for any other name.
inline std::optional<std::uint64_t> generation_of(std::string_view name) {
  constexpr std::size_t kDigits = 8;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  if (!whole || name.size() != kDigits || number == 0) return std::nullopt;
  return number;
}

}  // namespace ferrule::publishing
