// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ferrule/result.hpp"
#include "merge/method.hpp"

namespace ferrule::merging {

/// What PEFT does to the base when it loads a LoRA whose initialization changed it (PiSSA, OLoRA)
/// or that replaces a part of it (KaSA); empty for others. Fails with kUnsupported (MG-3) if that
/// cannot be done again.
Result<std::vector<StepMaker>> residual_steps(const Site& site);

}  // namespace ferrule::merging
