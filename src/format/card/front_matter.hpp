// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ferrule/result.hpp"

namespace ferrule::format {

/// Beyond these a card is not read (MC-1). Cards with benchmark results by the thousand exist, so
/// they are far above what a person writes.
constexpr std::size_t kMaxCardBytes = 16U << 20U;
constexpr std::size_t kMaxFrontMatterBytes = 1U << 20U;

/// Where the parts of a card are in its text. Views of that text.
struct CardParts {
  /// The byte order mark, the opening fence and its line break; without front matter the byte order
  /// mark alone.
  std::string_view opening;
  /// The YAML between the fences, without the line break before the closing one.
  std::string_view yaml;
  /// The line break before the closing fence, the fence and what ends its line.
  std::string_view closing;
  /// Everything after the front matter.
  std::string_view body;
  bool has_front_matter = false;
  /// The line break that the card uses, as huggingface_hub counts it: "\n", "\r\n" or "\r".
  std::string_view eol = "\n";
};

/// Splits a card as huggingface_hub does (MC-3). Every text can be split.
CardParts split_card(std::string_view text) noexcept;

/// One entry of the front matter's top level mapping.
struct YamlEntry {
  enum class Kind : std::uint8_t {
    kNull,
    kString,
    kScalar,   ///< A bool, a number or a timestamp, as written in `text`.
    kStrings,  ///< A list of strings only.
    kOther,    ///< Anything else: a mapping, a list of mappings, an alias ...
  };
  std::string key = {};
  Kind kind = Kind::kOther;
  std::string text = {};
  std::vector<std::string> items = {};
  bool is_empty = false;  ///< Of lists and mappings: without an element.
  /// The first byte of the line that the key is on.
  std::size_t begin = 0;
  /// The end of the last line that belongs to the entry, before its line break; comments and blank
  /// lines after it belong to no key.
  std::size_t end = 0;
  /// The first byte of the value, inside the entry.
  std::optional<std::size_t> value_begin = {};
  /// Whether the list is written one "- item" a line.
  bool is_block_list = false;
};

/// The front matter as far as a card needs it. An entry's ranges are offsets into the text parsed.
struct YamlBlock {
  std::vector<YamlEntry> entries;
  /// Blanks in front of every key.
  std::size_t indent = 0;
  /// Written in braces: entries cannot be edited one by one.
  bool is_flow = false;

  /// The entry of that key that counts (the last one, as in PyYAML), or nullptr.
  const YamlEntry* find(std::string_view key) const noexcept;
};

/// Parses front matter. Nothing in it, comments alone or null give no entries.
/// Fails with kCorrupt (MC-2 not text, MC-4 not one YAML mapping) or kLimitExceeded (MC-1).
Result<YamlBlock> parse_yaml_block(std::string_view yaml);

/// What a key shall hold: a string, a list of strings, or nothing at all (the key is removed).
struct YamlEdit {
  std::string key = {};
  std::variant<std::monostate, std::string, std::vector<std::string>> value;
};

/// The front matter with these keys set, every other byte as it was: comments, order, quotes, line
/// breaks. A key that holds its value already is not touched; a new one is added at the end, in the
/// order of `edits`, as PyYAML dumps it. The result has been read back and holds what was asked.
/// Fails as parse_yaml_block does, or with kUnsupported (MC-7) if the text gives no place to
/// edit.
Result<std::string> edit_yaml_block(std::string_view yaml, std::span<const YamlEdit> edits,
                                    std::string_view eol);

}  // namespace ferrule::format
