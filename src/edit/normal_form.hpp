// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/normalize.hpp"
#include "ferrule/result.hpp"

namespace ferrule::edit {

/// An adapter in normal form, ready to be written. Tensors that did not change point into the
/// adapter it was made from.
struct NormalForm {
  container::TensorPlan tensors;
  AdapterConfig config;
  /// Filled but for files and places.
  NormalizeReport report;
  std::uint64_t highest_rank = 0;
};

/// Fails with kUnsupported (NM-6, NM-7). The adapter must have passed check_normalizable.
Result<NormalForm> make_normal_form(const Adapter& adapter, const NormalizeOptions& options);

}  // namespace ferrule::edit
