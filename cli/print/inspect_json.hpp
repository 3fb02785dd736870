// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "ferrule/adapter.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/json.hpp"

/// The documents of `inspect --json`, as docs/cli.md describes them.
namespace ferrule::cli {

Json adapter_json(const Adapter& adapter, bool tensors);
Json container_json(const ContainerSummary& file, bool tensors);
Json folder_json(const FolderSummary& folder, const std::filesystem::path& root);

}  // namespace ferrule::cli
