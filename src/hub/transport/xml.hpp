// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ferrule::hub {

/// What the first element of that name holds from `at` on, which moves behind it; nullopt where
/// there is none. Enough of XML for what S3 answers: no attributes, no element within one of its
/// own name.
std::optional<std::string_view> inner_xml(std::string_view xml, std::string_view name,
                                          std::size_t& at);

/// The same as text, with entities resolved.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name, std::size_t& at);
/// From the start.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);

/// Text that stands in XML as it is.
std::string xml_escape(std::string_view text);

}  // namespace ferrule::hub
