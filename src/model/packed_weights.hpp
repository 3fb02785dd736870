// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::model {

/// The weight of a module that does not have it as such: quantized, or computed from others. As
/// far as its tensors tell.
struct PackedWeight {
  std::string format;  ///< "GPTQ", "bitsandbytes, 4 bits".
  /// False if torch computes it from the tensors (weight norm).
  bool quantized = true;
  /// [out, in] of the weight that the live module stands for.
  std::optional<std::vector<std::uint64_t>> shape;
  /// Its elements, if only their number is known.
  std::optional<std::uint64_t> elements;
};

/// Modules whose weights are packed or parametrized (torch.nn.utils.weight_norm, old and new), by
/// their path on disk. GPTQ and AWQ tell their sizes by the
/// packed dimensions, torchao and quanto by tensor names of their own, bitsandbytes' 4 bits only
/// the number of elements, other formats nothing. Formats that keep the weight's name and shape
/// (bitsandbytes' 8 bits, FP8) are not here. `config` is the model's.
std::map<std::string, PackedWeight> find_packed_weights(const TensorSource& source,
                                                        const Json& config);

}  // namespace ferrule::model
