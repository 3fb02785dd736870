// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace ferrule {

/// The container that an adapter's weights are written in.
enum class WeightsFormat : std::uint8_t {
  kSafetensors,  ///< adapter_model.safetensors
  kBin,          ///< adapter_model.bin, the zip file of torch.save
};

}  // namespace ferrule
