// SPDX-License-Identifier: Apache-2.0
#pragma once

// DeepSpeed's universal checkpoints, which ds_to_universal makes of others:
//
//   *_model_states.pt          as before the conversion
//   zero/NAME/fp32.pt          {"param": the whole tensor, flat or in its shape}
//   zero/NAME/step.pt          the optimizer's step

#include <filesystem>
#include <memory>

#include "ferrule/rescue.hpp"
#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

Result<Found> find_universal(const std::shared_ptr<Sources>& sources,
                             const std::filesystem::path& folder, PreferredWeights prefer);

}  // namespace ferrule::rescues
