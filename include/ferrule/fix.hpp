// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "ferrule/base_model.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

struct FixOptions {
  /// If given, prefixes of wrappers are changed to match the base if there is only one way to do
  /// that. Not owned; can be null.
  const BaseModel* base = nullptr;
  Durability durability = Durability::kSafe;
  OpenOptions open = {};
};

/// One kind of problem that was fixed.
struct FixedThing {
  /// "training-wrapper", "adapter-name", "key-prefix", "base-prefix", "base-names",
  /// "fused-experts", "lora_dropout", "fan_in_fan_out", "old-type", "old-config",
  /// "ignored-tensor", "rank-padding", "wrong-name", "empty-file" or "stale-file".
  std::string what;
  /// A sentence.
  std::string message;
  std::uint64_t tensors = 0;
};

/// One adapter of a fixed directory.
struct FixedAdapter {
  /// Its folder below the directory; empty for the directory itself.
  std::string folder;
  std::vector<FixedThing> fixed;
  /// What could only be fixed by guessing; if there are errors among them, nothing is written.
  std::vector<Finding> remaining;
};

/// What a fix did.
struct [[nodiscard]] FixReport {
  std::vector<FixedAdapter> adapters;
  bool in_place = false;

  /// True if nothing wrong is left; only then was anything written.
  bool good() const noexcept {
    for (const auto& adapter : adapters) {
      if (has_error(adapter.remaining)) return false;
    }
    return true;
  }
};

/// Fixes what has one right answer: names that torch.compile, FSDP, DDP or an adapter's name left
/// in keys, a missing `base_model.model.`, types and fields of older PEFTs, a weights file that no
/// reader looks at; with a base also a wrapper's prefix. Tensors keep their bits. Everything is
/// written as one transaction, all or nothing: if a problem remains that only a guess could fix,
/// it is reported and nothing is written. `output` may be the directory itself.
///
/// May be called from any number of threads at once; calls for one output wait for each other.
/// Fails with kNotFound, kCorrupt (what cannot be read at all), kUnsupported, kLimitExceeded,
/// kInvalidArgument or kIo.
FERRULE_API Result<FixReport> fix(const std::filesystem::path& directory,
                                  const std::filesystem::path& output,
                                  const FixOptions& options = {});

}  // namespace ferrule
