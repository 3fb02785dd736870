// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/tensor_view.hpp"
#include "peft/disk_key.hpp"

namespace ferrule {

/// An adapter's tensors matched to the roles of its method, and what the AD rules say of them.
/// Views point into the tensors given.
struct Examination {
  std::vector<AdapterTensor> tensors;
  /// Parallel to `tensors`.
  std::vector<peft::DiskKey> keys;
  std::vector<Module> modules;
  /// Errors first.
  std::vector<Finding> findings;
};

/// Makes what users see out of what the rules know.
struct AdapterBuilder {
  static Examination examine(const AdapterConfig& config, std::span<const NamedTensor> tensors);
  /// What examine() said when the adapter was opened; lives as long as the adapter.
  static const Examination& of(const Adapter& adapter) noexcept;
};

/// Non-finite values, B matrices of zeros, and LILY's shared factors that are not (rules AD-20 to
/// AD-22): reads every value.
std::vector<Finding> examine_values(const AdapterConfig& config, const Examination& examination);

}  // namespace ferrule
