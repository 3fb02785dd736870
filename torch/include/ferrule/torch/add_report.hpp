// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferrule/torch/commit.hpp"

namespace ferrule::libtorch {

/// What was added.
struct AddReport {
  /// Paths of the modules that carry the adapter, in the order of the model.
  std::vector<std::string> modules;
  /// Paths of the modules that it trains as a whole.
  std::vector<std::string> modules_to_save;
  /// Numbers in the adapter's tensors, trained copies included.
  std::uint64_t parameters = 0;
  /// What the config asks for and the model does not have (LT-14), and what was changed (LT-2).
  std::vector<Finding> findings;
};

namespace detail {

inline AddReport summarize(const Plan& plan) {
  AddReport report;
  report.findings = plan.findings;
  for (const auto& item : plan.items) {
    report.modules.push_back(item.path);
    for (const auto& slot : item.prepared.update->slots()) {
      report.parameters += static_cast<std::uint64_t>(slot.tensor->numel());
    }
  }
  for (const auto& copy : plan.copies) {
    report.modules_to_save.push_back(copy.path);
    for (const auto& parameter : copy.module->parameters()) {
      report.parameters += static_cast<std::uint64_t>(parameter.numel());
    }
  }
  return report;
}

}  // namespace detail

}  // namespace ferrule::libtorch
