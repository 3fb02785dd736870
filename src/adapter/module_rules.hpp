// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "adapter/examine.hpp"
#include "ferrule/adapter_config.hpp"
#include "ferrule/finding.hpp"
#include "peft/method.hpp"

namespace ferrule::adapter {

/// The AD rules on modules and on the adapter as a whole: emptiness, pairs, shapes, ranks against
/// the config, what the config demands and the file lacks.
std::vector<Finding> judge_modules(const AdapterConfig& config, const peft::Method& method,
                                   const Examination& examination);

}  // namespace ferrule::adapter
