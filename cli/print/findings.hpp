// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ferrule/error.hpp"
#include "ferrule/finding.hpp"

namespace ferrule::cli {

/// Findings that have one cause: the same rule broken in the same way by several tensors or modules
/// of one path.
struct Cause {
  const Finding* first = nullptr;
  std::uint64_t findings = 0;

  /// The first one's message, and how many are like it.
  std::string message() const;
};

/// The causes in the order of their first findings. With `list_all` each finding is its own.
std::vector<Cause> causes_of(std::span<const Finding> findings, bool list_all = false);

/// Prints "path: [RULE] message" to standard error, and the advice below it.
void report(const Finding& finding);
void report(const Error& error);
/// One line for each cause, the first ones if there are very many; or with `list_all` every
/// finding.
void report(std::span<const Finding> findings, bool list_all = false);

}  // namespace ferrule::cli
