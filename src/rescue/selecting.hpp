// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "container/tensor_plan.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "io/reserved_range.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// An adapter out of what a checkpoint holds: ready to be written, every byte of it proved to be
/// there. The streams read the checkpoint.
struct Chosen {
  std::string name;
  AdapterConfig config;
  container::TensorPlan tensors;
  std::vector<Finding> findings;
};

/// Selects the tensors that PEFT would save for the adapter, and proves that they are whole (rules
/// RS-4, RS-10 to RS-13, RS-15, and all AD rules). Looks at names and shapes first; only the
/// adapter's own tensors are located and read. `adapter` is its name, or empty.
Result<Chosen> choose(const std::shared_ptr<Sources>& sources, const std::shared_ptr<Found>& found,
                      const AdapterConfig& config, const std::string& adapter);

}  // namespace ferrule::rescues
