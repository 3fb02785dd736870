// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "ferrule/rescue.hpp"

namespace ferrule::cli {

/// A few lines on standard output, findings on standard error. `verb` is "rescued" or "assembled".
void print_report(const RescueReport& report, std::string_view verb, const std::string& output);

}  // namespace ferrule::cli
