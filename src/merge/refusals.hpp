// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "check/adapter_match.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "merge/plan.hpp"
#include "model/base_model.hpp"

namespace ferrule::merging {

/// A finding about the adapter as the error that stops a merge.
Error as_error(const Adapter& adapter, const Finding& finding);

/// MG-1: methods that act while the model runs and are in no weight.
Result<void> refuse_method(const Adapter& adapter);

/// An adapter that PEFT would not load.
Result<void> refuse_broken(const Adapter& adapter);

/// Quantized weights of the base, when nothing was said of a dtype to write them in (`keeps`), or
/// when something is to be taken off again (`undo`).
Result<void> refuse_quantized(const MergePlan& plan, const BaseFiles& files, bool undo, bool keeps);

/// Quantized weights of transformers' Conv1D: bitsandbytes and GPTQModel turn them over before they
/// quantize them, other writers may not.
Result<void> refuse_quantized_conv1d(const LiveTensors& live, const model::BaseIndex& base,
                                     const BaseFiles& files);

/// Modules that are not in the base, or do not fit it.
Result<void> refuse_unmatched(const Adapter& adapter, const model::BaseIndex& base,
                              const checks::MatchResult& match);

}  // namespace ferrule::merging
