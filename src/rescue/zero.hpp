// SPDX-License-Identifier: Apache-2.0
#pragma once

// DeepSpeed's checkpoints (docs/rescue.md, rules RS-5 to RS-8). A step's folder holds
//
//   stage 1, 2   mp_rank_00_model_states.pt                          one, with whole weights
//   stage 3      zero_pp_rank_R_mp_rank_00_model_states.pt           one a rank, without weights
//   all          [bf16_]zero_pp_rank_R_mp_rank_00_optim_states.pt    one a rank: FP32 weights, flat
//
// Stage 1 and 2 cut the sequence of all parameters of a group into one part a rank; stage 3 cuts
// every parameter into parts of ceil(n / ranks) elements.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/rescue.hpp"
#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// True if a folder with these names is one step of such a checkpoint.
bool is_zero_folder(const std::vector<std::string>& names);

Result<Found> find_zero(const std::shared_ptr<Sources>& sources,
                        const std::filesystem::path& folder, const std::vector<std::string>& names,
                        PreferredWeights prefer);

}  // namespace ferrule::rescues
