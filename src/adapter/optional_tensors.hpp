// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "adapter/examine.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "peft/method.hpp"

namespace ferrule::adapter {

/// AD-24: tensors that a field of the config switches on are in the file exactly if it does.
std::vector<Finding> judge_optional_tensors(const AdapterConfig& config, const peft::Method& method,
                                            const Examination& examination);

}  // namespace ferrule::adapter
