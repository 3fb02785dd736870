// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "exchange/base_facts.hpp"
#include "exchange/ledger.hpp"
#include "exchange/middle.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// PEFT's shape of the magnitude: [out], of a convolution [1, out, 1, 1].
Values peft_magnitude(const Site& site);

/// For LoHa and LoKr, whose tensors' shapes PEFT derives from the config: sets
/// use_effective_conv2d, decompose_both and decompose_factor so that PEFT builds the tensors that
/// are there. Fails with kUnsupported (EX-3) if no config does, or if the sites have magnitudes;
/// EX-4 if the base has to say how large a kernel is.
Result<void> set_factors(const Middle& middle, const std::string& component,
                         const BaseComponent* base, AdapterConfig& config);

/// PEFT has one method for a component, and LoKr whose factors fit one config: where the sites need
/// more, those of LoHa and LoKr are written out as LoRA if they can be (as_lora).
Result<void> settle_methods(Middle& middle, const BaseFacts& base, Ledger& ledger);

}  // namespace ferrule::exchange
