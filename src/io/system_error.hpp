// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "ferrule/error.hpp"

namespace ferrule::io {

/// kIo (kLimitExceeded for ENOMEM) with "`what`: the system's own text for `number`".
Error system_error(int number, std::string_view what, const std::filesystem::path& path);

/// As system_error(), but kNotFound for ENOENT.
Error open_error(int number, std::string_view what, const std::filesystem::path& path);

/// "a directory", "a FIFO", ... for the st_mode of something that is not a regular file.
std::string_view kind_of(unsigned mode) noexcept;

}  // namespace ferrule::io
