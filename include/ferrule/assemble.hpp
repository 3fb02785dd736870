// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/rescue.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

struct AssembleOptions {
  /// adapter_config.json; empty if it is next to the shards.
  std::filesystem::path config = {};
  /// The adapter's name, if the names of the shards' tensors have several.
  std::string adapter = {};
  Durability durability = Durability::kSafe;
};

/// Puts an adapter together out of shards that ranks wrote on their own: those of save_shard(), and
/// of torch's DCP with Hugging Face storage. The shards of one step are in one folder; if
/// `directory` has folders `step-N`, the newest complete one is taken.
///
/// The shards must be all of one run, step and world size, list the same tensors, have the digest
/// that they claim, and cover each tensor exactly once (rules RS-4 to RS-6, RS-14 and RS-15);
/// copies of one tensor in several shards must be equal to the bit. Fails and writes as rescue()
/// does.
FERRULE_API Result<RescueReport> assemble(const std::filesystem::path& directory,
                                          const std::filesystem::path& output,
                                          const AssembleOptions& options = {});

}  // namespace ferrule
