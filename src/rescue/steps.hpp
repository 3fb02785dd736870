// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/rescue.hpp"
#include "ferrule/result.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// A place in a checkpoint that holds the weights of one step.
struct Step {
  std::filesystem::path path = {};
  /// As its folder is called; nullopt if the name has no number.
  std::optional<std::int64_t> number = {};
  /// Reads the names, shapes and places of its tensors.
  std::function<Result<Found>(const std::shared_ptr<Sources>&)> find = {};
};

/// What a path holds: steps, the newest first; more than one only if `path` is the folder of a run.
struct Steps {
  std::vector<Step> steps = {};
  /// What was passed over, such as a `latest` that is behind.
  std::vector<Finding> findings = {};
};

/// Fails with RS-1 (nothing that is known; the message says what it is), RS-9 (`latest` names a
/// step that does not exist) or kNotFound and kIo.
Result<Steps> find_steps(const std::filesystem::path& path, PreferredWeights prefer);

}  // namespace ferrule::rescues
