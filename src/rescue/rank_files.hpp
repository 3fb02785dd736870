// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// Files of torch.save by rank ("pytorch_model_fsdp_rank0.bin"); empty if the folder has none.
std::map<std::uint64_t, std::string> rank_files(const std::vector<std::string>& names);

/// One file of each rank: parts of DTensors, or copies that must be equal.
Result<Found> find_rank_files(const std::shared_ptr<Sources>& sources,
                              const std::filesystem::path& folder,
                              const std::map<std::uint64_t, std::string>& files);

}  // namespace ferrule::rescues
