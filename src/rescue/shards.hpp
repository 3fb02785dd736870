// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sets of shards that ranks wrote without a collective: torch's DCP with Hugging Face storage, and
// save_shard() on top of it (docs/rescue.md).
//
//   shard-RRRRR-model-FFFFF-of-NNNNN.safetensors    RRRRR is the rank plus one
//   __metadata__   DCP_SHARDING_INFO   {NAME: {"saved_offsets": [...]}}
//                  FERRULE_SHARD       {version, run, step, rank, world, sha256, tensors}

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

inline constexpr std::string_view kShardKey = "FERRULE_SHARD";
inline constexpr std::string_view kShardingInfoKey = "DCP_SHARDING_INFO";

/// "shard-00003-model-00001-of-00001.safetensors" for rank 2.
std::string shard_name(std::uint64_t rank);

bool is_shard_folder(const std::vector<std::string>& names);

/// Checks digests too, so it reads every byte of save_shard()'s files.
/// Fails with RS-2 to RS-6 and RS-14.
Result<Found> find_shards(const std::shared_ptr<Sources>& sources,
                          const std::filesystem::path& folder,
                          const std::vector<std::string>& names);

}  // namespace ferrule::rescues
