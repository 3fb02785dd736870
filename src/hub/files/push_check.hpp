// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/hub.hpp"
#include "ferrule/result.hpp"

namespace ferrule::hub {

/// Verifies the adapter before a push. Fails with its first finding that is an error, or with HB-17
/// if the Hub would refuse the card. Warnings go to the watcher.
Result<void> verify_for_push(const std::filesystem::path& directory, const PushOptions& options);

}  // namespace ferrule::hub
