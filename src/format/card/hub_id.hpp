// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace ferrule::format {

/// Whether `name` can be a model on the Hub: "name" or "namespace/name" of the characters the Hub
/// allows (MC-5). False for everything that only a file system understands: absolute and relative
/// paths, Windows paths, URLs, checkpoint folders, names of files.
bool is_hub_id(std::string_view name) noexcept;

}  // namespace ferrule::format
