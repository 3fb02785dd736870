// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "check/engines.hpp"
#include "ferrule/engine_table.hpp"

namespace ferrule {

/// The way into EngineTable for the library itself.
struct EngineTableAccess {
  static const checks::Engines& engines(const EngineTable& table) noexcept {
    return *table.engines_;
  }
};

namespace checks {

/// The engines of those names, in that table or, if it is null, in that of this release. They
/// point into it. Fails with kInvalidArgument.
Result<std::vector<EngineAt>> find_engines(std::span<const std::string> words,
                                           const EngineTable* table);

}  // namespace checks
}  // namespace ferrule
