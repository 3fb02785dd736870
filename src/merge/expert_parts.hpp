// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ferrule/result.hpp"
#include "merge/method.hpp"
#include "model/base_model.hpp"

namespace ferrule::merging {

/// A LoRA of one expert's own projection, on a base whose live model has them fused.
struct ExpertPart {
  std::string parameter;  ///< "model.layers.0.mlp.experts.gate_up_proj"
  StepMaker make;
};

Result<ExpertPart> expert_part(const Site& site, const model::BaseIndex& base,
                               const LiveTensors& live);

}  // namespace ferrule::merging
