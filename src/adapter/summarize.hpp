// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/inspect.hpp"

namespace ferrule::adapter {

/// An adapter that could be opened, in few words.
AdapterSummary summarize(const Adapter& adapter, const std::filesystem::path& directory);

}  // namespace ferrule::adapter
