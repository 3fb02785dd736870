// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "exchange/dialect.hpp"
#include "exchange/ledger.hpp"
#include "exchange/middle.hpp"
#include "ferrule/result.hpp"

namespace ferrule::exchange {

/// What every reader owes: at least one site or extra, both factors of each, ranks that fit, no
/// site twice. Fails with kCorrupt (EX-8).
Result<void> check_sites(const Middle& middle, const std::filesystem::path& source);

/// Takes out of `middle` what the target cannot carry, and tells `ledger`, which refuses what may
/// not be dropped.
void limit(Middle& middle, const Carries& carries, std::string_view target, Ledger& ledger);

}  // namespace ferrule::exchange
