// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::format {

/// The text of a card with the line `- PEFT <version>`, as PEFT adds it (MC-8): two lines after
/// "### Framework versions", or both at the end. Every other byte stays; if the line is there,
/// all of them do.
std::string with_framework_line(std::string_view body, std::string_view version,
                                std::string_view eol);

/// The part of a card that a program wrote, between two marks, the first of which carries a
/// checksum of what is between them (MC-9).
struct GeneratedPart {
  /// The text between the marks.
  std::string_view content;
  /// Whether it is still what the program wrote.
  bool is_untouched = false;
};

/// `content` between its marks, without a line break at the end. `content` ends with "\n".
std::string mark_generated(std::string_view content);

/// The first marked part of a card's text; nullopt if there is none.
std::optional<GeneratedPart> find_generated(std::string_view body) noexcept;

}  // namespace ferrule::format
