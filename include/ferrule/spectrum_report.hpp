// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "ferrule/export.hpp"
#include "ferrule/factored_module.hpp"

namespace ferrule {

/// A page of HTML that needs nothing else: for each module its rank, norm and error, and a plot of
/// its singular values (logarithmic, over six decades) with a line at the rank that was kept.
FERRULE_API std::string spectrum_report(std::span<const FactoredModule> modules,
                                        std::string_view title);

}  // namespace ferrule
