// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// A site of LoHa or LoKr as LoRA with the same update: a Hadamard product has the product of both
/// ranks, and so has a Kronecker product (of a whole factor its smaller extent). Elements are
/// products of two elements, computed in double and stored as F32. `shape` is that of the base's
/// weight, if it is known: of a convolution it may have to say how large the kernel is.
///
/// A magnitude of DoRA stays. Fails with kUnsupported (EX-3: another method, a core, an unknown
/// kernel), kCorrupt (EX-8: factors that do not fit each other) or kLimitExceeded (EX-8: too large
/// a factor).
Result<Site> as_lora(const Site& site, const Shape* shape = nullptr);

}  // namespace ferrule::exchange
