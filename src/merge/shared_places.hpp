// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/result.hpp"
#include "model/base_model.hpp"
#include "peft/targets.hpp"

namespace ferrule::merging {

/// Where each value of all layers' factors is in the vector that they share (Uni-LoRA without
/// save_indices), one layer after the other: A by rows, then B by rows.
struct SharedPlaces {
  std::vector<std::uint32_t> places;
  std::vector<float> scales;  ///< Of each value of the vector: 1 / sqrt(how often it is used).
};

/// True for Uni-LoRA whose file has only the shared vector: the layers are those of the config.
bool leaves_layers_out(const Adapter& adapter);

/// The linear layers that the config targets, in the model's order. Fails with kUnsupported (MG-3)
/// if it targets none, or does not tell.
Result<std::vector<std::string>> targeted_layers(const Adapter& adapter,
                                                 const model::BaseIndex& base,
                                                 const peft::TargetRule& targets);

/// `count` places in a vector of `length` values, as PEFT draws them from its `proj_seed`.
std::shared_ptr<const SharedPlaces> draw_places(std::uint32_t count, std::uint32_t length,
                                                std::uint64_t seed);

}  // namespace ferrule::merging
