// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/adapter_config.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_source.hpp"
#include "peft/selection.hpp"

namespace ferrule::peft {

/// Whether the adapter was trained on a base that its initialization changed (PiSSA, OLoRA, CorDA,
/// LoRA-GA, LoftQ), so that its factors mean something else on the base as published.
bool trained_on_changed_base(const AdapterConfig& config);

/// Turns an adapter that changed the base at initialization (PiSSA, OLoRA, CorDA, LoRA-GA) into a
/// plain LoRA of twice the rank for the original base: A becomes [A; A0], B becomes [B, -B0], with
/// A0 and B0 as they were right after initialization, and the config follows
/// (`path_initial_model_for_weight_conversion` of PEFT's save_pretrained). Tensors that are no
/// halves of a pair stay, where PEFT drops them. The initial folder is only read.
/// Fails with kCorrupt (KY-10) if the two do not fit, kUnsupported for other types or rsLoRA
/// with patterns.
Result<void> convert_from_initial(Selection& selection, const AdapterConfig& initial_config,
                                  const TensorSource& initial, bool trusted = false);

}  // namespace ferrule::peft
