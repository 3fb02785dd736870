// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::hub {

/// The content of the first element of that name from `at` on; `at` moves to its end. nullopt if
/// there is none. This reads as much XML as S3's answers need: an element with attributes is not
/// found, and an element cannot contain another of the same name.
std::optional<std::string_view> inner_xml(std::string_view xml, std::string_view name,
                                          std::size_t& at);

/// The same as text, with entities resolved.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name, std::size_t& at);
/// The same from the start.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);

/// Text with XML's special characters as entities.
std::string xml_escape(std::string_view text);

}  // namespace ferrule::hub
