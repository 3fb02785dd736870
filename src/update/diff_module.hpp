// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ferrule/adapter.hpp"
#include "ferrule/diff.hpp"
#include "update/measure.hpp"

namespace ferrule::update {

/// One module of two adapters, and what it adds to the whole.
struct ModuleComparison {
  ModuleDiff diff;
  /// Of updates; of all other tensors.
  Squares updates;
  Squares others;
  /// The wider of the tolerances used.
  double tolerance = 0;
  /// Something differs that has no size (integers, unknown dtypes, another method).
  bool unmeasured = false;
  bool non_finite = false;
};

/// Either can be null, not both: the module is then in one adapter only.
ModuleComparison compare_modules(const Adapter& a, const AdapterModule* in_a, const Adapter& b,
                                 const AdapterModule* in_b, bool list_tensors);

}  // namespace ferrule::update
