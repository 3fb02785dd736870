// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"

namespace ferrule::cli {

/// Prints "path: [RULE] message" to standard error, and the advice below it.
void report(const Finding& finding);
void report(const Error& error);
/// The first of them, and how many more there are: output stays bounded whatever the file holds.
void report(std::span<const Finding> findings);

}  // namespace ferrule::cli
