// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

/// The files of DeepSpeed's expert parallel layers, opened: one for each expert of each layer,
/// whole tensors under the model's own names ("layer_0_expert_3_mp_rank_00_model_states.pt"). None
/// if the model, whose `num_experts` says how many there are, has no such layer. Fails with RS-3,
/// RS-5 or RS-7.
Result<std::vector<TorchState>> open_experts(Sources& sources, const TorchState& model,
                                             const std::filesystem::path& folder,
                                             const std::vector<std::string>& names);

}  // namespace ferrule::rescues
