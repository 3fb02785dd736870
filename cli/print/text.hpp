// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::cli {

/// Characters of UTF-8 text, as a terminal counts columns.
std::size_t width_of(std::string_view text);

/// `text` in at most `width` columns: cut in the middle, where paths differ least.
std::string fit(std::string_view text, std::size_t width);

/// "1,234,567".
std::string grouped(std::uint64_t number);

/// "41.9 MB": decimal units, as file managers count.
std::string human_bytes(std::uint64_t bytes);

/// "1 tensor", "2,048 tensors".
std::string counted(std::uint64_t number, std::string_view noun);

/// A number as people write it: "16", "0.125".
std::string plain_number(double number);

/// "[16, 64]".
std::string shape_text(std::span<const std::uint64_t> shape);

}  // namespace ferrule::cli
