// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// A folder of torch's distributed checkpoints (`.metadata` and `.distcp` files). Reads `.metadata`
/// and the sizes of the files; a tensor's items when its pieces are located.
/// Fails with RS-2, RS-3, RS-4 or RS-10.
Result<Found> find_dcp(const std::shared_ptr<Sources>& sources,
                       const std::filesystem::path& folder);

}  // namespace ferrule::rescues
