// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/export.hpp"
#include "ferrule/json.hpp"
#include "ferrule/publish.hpp"
#include "ferrule/rescue.hpp"
#include "ferrule/save_shard.hpp"

namespace ferrule {

/// The documents of `ferrule rescue --json`, `assemble --json` and `publish --json` (docs/cli.md),
/// without their version.
FERRULE_API Json::Object to_json(const RescueReport& report, const std::filesystem::path& output);
FERRULE_API Json::Object to_json(const PublishReport& report);
/// What save_shard() wrote: "file", "tensors", "file_bytes".
FERRULE_API Json::Object to_json(const SaveShardReport& report);

}  // namespace ferrule
