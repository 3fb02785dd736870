// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"

namespace ferrule::hub {

/// What is no adapter, or breaks a rule, is not published: the first finding of `verify`, or HB-17
/// for a card that no Hub would read. Warnings go to the watcher.
Result<void> check_adapter(const std::filesystem::path& directory, const PushOptions& options);

}  // namespace ferrule::hub
