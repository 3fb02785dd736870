// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"

namespace ferrule::cli {

/// The output formats of commands that report findings.
enum class OutputFormat : std::uint8_t { kText, kJson, kSarif };

/// Prints one SARIF 2.1.0 log to standard output: a result for each finding with its rule, level,
/// file and key, the rules with their texts from docs/rules, and the errors of the system as
/// notifications. `command` is the verb.
void print_sarif(std::string_view command, std::span<const Finding> findings,
                 std::span<const Error> errors);

}  // namespace ferrule::cli
