// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ferrule::io {

/// True if the working directory of this process (and so of the shell that started it) is
/// `directory` or below it; `directory` is absolute and free of links.
bool holds_working_directory(const std::string& directory) noexcept;

}  // namespace ferrule::io
