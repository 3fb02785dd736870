// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::format {

/// Whether PyYAML reads this plain (unquoted) scalar as a string, not as null, a bool, a number, a
/// timestamp or one of YAML 1.1's special values.
bool is_yaml_string(std::string_view plain) noexcept;

/// A string as PyYAML 6 dumps it (allow_unicode, width 80, indent 2) after the `column` characters
/// that are on the line already, without the space in front: plain where that reads back as the
/// same string, else in single quotes, else in double quotes. May span lines, broken by `eol`.
/// `text` must be UTF-8.
std::string dump_yaml_scalar(std::string_view text, std::size_t column, std::string_view eol);

/// One entry of a block mapping, as PyYAML dumps it: "key: value", without a line break at the end.
std::string dump_yaml_entry(std::string_view key, std::string_view value, std::string_view eol);

/// The same for a list: "key:", then one "- item" a line; "key: []" for an empty one.
std::string dump_yaml_entry(std::string_view key, std::span<const std::string> items,
                            std::string_view eol);

}  // namespace ferrule::format
