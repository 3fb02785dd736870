// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ferrule::io {

/// TX-8: names that only Ferrule makes: stages, records, temporary files.
bool is_our_name(std::string_view name) noexcept;

}  // namespace ferrule::io
