// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "adapter/card.hpp"
#include "adapter/examine.hpp"
#include "container/tensor_plan.hpp"
#include "ferrule/save_pretrained.hpp"

namespace ferrule::adapter {

/// One adapter ready to be written: verified, converted, with its final config.
struct AdapterPlan {
  std::string name;
  /// Below the target directory: "" for "default", the name for others.
  std::string folder;
  container::TensorPlan tensors;
  AdapterConfig config;
  CardAdapter card;
  /// Views point into `tensors`.
  Examination examination;
};

/// Everything a save will write, and its findings.
struct SavePlan {
  std::vector<AdapterPlan> adapters;
  std::vector<Finding> findings;
  std::vector<LeftOut> left_out;
};

/// Selects, converts and verifies, without touching the target. Errors of the AD and KY rules
/// refuse the plan: the first is the Error, its message counts the others.
Result<SavePlan> plan_save(const TensorSource& state, std::span<const NamedConfig> configs,
                           const SaveOptions& options);

}  // namespace ferrule::adapter
