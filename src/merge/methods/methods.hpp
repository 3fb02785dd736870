// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "ferrule/result.hpp"
#include "merge/method.hpp"

namespace ferrule::merging {

/// A method of PEFT that can be merged, and what it does to a layer. Source of each: merge() and
/// get_delta_weight() of PEFT 0.21.2.
struct MergeableMethod {
  std::string_view type;
  Result<SiteSteps> (*plan)(const Site& site);
};

std::span<const MergeableMethod> mergeable_methods() noexcept;

// lora.cpp
Result<SiteSteps> plan_lora(const Site& site);
Result<SiteSteps> plan_adalora(const Site& site);

}  // namespace ferrule::merging
