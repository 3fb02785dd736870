// SPDX-License-Identifier: Apache-2.0
#include "merge/methods/methods.hpp"

namespace ferrule::merging {
namespace {

constexpr MergeableMethod kMethods[] = {
    {"ADALORA", plan_adalora},
    {"LORA", plan_lora},
};

}  // namespace

std::span<const MergeableMethod> mergeable_methods() noexcept { return kMethods; }

}  // namespace ferrule::merging
