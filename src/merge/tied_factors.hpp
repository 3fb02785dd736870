// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "check/adapter_match.hpp"

namespace ferrule::merging {

/// False if the file holds an update of the head that is not that of the embedding.
bool tied_factors_agree(const checks::MatchResult& match);

}  // namespace ferrule::merging
