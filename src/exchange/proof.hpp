// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "exchange/ledger.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// Compares every site of what was read back with the one of the source: |after - before| /
/// |before| by low-rank algebra, never forming a matrix. Fills in the largest error of the report.
/// Fails with kCorrupt (EX-7): a site or tensor is missing, was added, or is further off than the
/// rounding of the dtypes in `after` explains.
/// `renamed`: what read() calls sites that had another name (Plan::renamed_sites).
Result<void> prove(const Middle& before, const Middle& after,
                   const std::map<std::string, std::string>& renamed, Ledger& ledger);

/// |scale B A of x - that of y| / |scale B A of x|; both have one shape. 0 if both are zero,
/// NaN if a value is not finite.
double update_distance(const Site& x, const Site& y);

}  // namespace ferrule::exchange
