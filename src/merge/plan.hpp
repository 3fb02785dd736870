// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "merge/base_files.hpp"
#include "merge/live_tensors.hpp"
#include "merge/step.hpp"

namespace ferrule::merging {

/// An adapter to merge, and how strongly.
struct Source {
  const Adapter* adapter = nullptr;
  double weight = 1;
};

/// A tensor that comes out different.
struct TensorPlan {
  std::string name;
  /// Where its values come from: itself, or for a new one the tensor it was tied to.
  const DiskTensor* source = nullptr;
  std::vector<std::unique_ptr<Step>> steps;
};

/// What a merge does to each tensor on disk.
struct MergePlan {
  std::map<const DiskTensor*, TensorPlan> changed;
  /// Tensors that the base does not have: heads that are tied no longer.
  std::vector<TensorPlan> added;
  /// The output's tensors are no longer tied: `tie_word_embeddings` becomes false.
  bool unties = false;
  std::uint64_t modules = 0;
  std::vector<Finding> findings;
};

struct PlanOptions {
  /// The updates are taken off again.
  bool undo = false;
  /// The dtype that PEFT's model would be loaded in; nullopt for that of each weight.
  std::optional<Dtype> dtype = {};
};

/// Matches the adapters with the base and decides what is done. The plan refers to all of them.
/// Fails with kUnsupported or kCorrupt (MG and BS rules) on anything that cannot be merged whole.
Result<MergePlan> plan_merge(std::span<const Source> sources, const BaseModel& base,
                             const BaseFiles& files, const LiveTensors& live,
                             const PlanOptions& options);

}  // namespace ferrule::merging
