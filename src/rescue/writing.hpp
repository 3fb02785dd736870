// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/rescue.hpp"
#include "ferrule/result.hpp"
#include "rescue/steps.hpp"

namespace ferrule::rescues {

struct WriteRequest {
  const std::filesystem::path& checkpoint;
  const std::filesystem::path& output;
  /// Empty: look in the checkpoint.
  const std::filesystem::path& config;
  const std::string& adapter;
  Durability durability = Durability::kSafe;
};

/// Takes the newest of the steps that is complete, and writes its adapter. If none is, fails as the
/// newest does.
Result<RescueReport> write_adapter(const Steps& steps, const WriteRequest& request);

}  // namespace ferrule::rescues
