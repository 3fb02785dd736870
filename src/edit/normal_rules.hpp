// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"

namespace ferrule::edit {

/// Fails if a plain LoRA of strength 1 cannot express the adapter (NM-1 to NM-5), or if the
/// adapter has errors already.
Result<void> check_normalizable(const Adapter& adapter);

/// What is carried along as it is (NM-9).
std::vector<Finding> carried_along(const Adapter& adapter);

}  // namespace ferrule::edit
