// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "container/tensor_plan.hpp"
#include "factor/combine_sources.hpp"
#include "ferrule/combine.hpp"
#include "ferrule/result.hpp"

namespace ferrule::factor {

/// Fails with kUnsupported (FA-6) if a method on A and B apart meets two ranks.
Result<void> check_ranks(const std::vector<CombineModule>& modules, const CombineOptions& options);

struct CombinedUpdates {
  /// A, B and biases of B of all modules.
  container::TensorPlan tensors;
  /// Modules, parameters, error, and FA-8.
  CombineReport report;
};

/// Fails with kUnsupported (FA-5) if a value of the result is not finite.
Result<CombinedUpdates> combine_updates(const std::vector<CombineModule>& modules,
                                        const CombineOptions& options);

}  // namespace ferrule::factor
