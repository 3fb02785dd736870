// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/json.hpp"
#include "ferrule/result.hpp"

namespace ferrule::rescues {

inline constexpr std::uint64_t kMaxWorld = 65536;

/// What FERRULE_SHARD says of one file.
struct ShardManifest {
  std::string run;
  std::int64_t step = 0;
  std::uint64_t rank = 0;
  std::uint64_t world = 1;
  std::string sha256;
  /// An object: name -> {"shape", "kind", "offset" or "range"}.
  Json tensors;
};

/// Fails with RS-2; `path` is the file's.
Result<ShardManifest> read_manifest(const std::filesystem::path& path, const std::string& text);

/// A count, and an array of counts; nullopt for anything else, null included.
std::optional<std::uint64_t> json_count(const Json* value);
std::optional<std::vector<std::uint64_t>> json_counts(const Json* value);

}  // namespace ferrule::rescues
