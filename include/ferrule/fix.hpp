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
  /// With it prefixes of wrappers follow the base where it leaves one answer. Not owned; may be
  /// null.
  const BaseModel* base = nullptr;
  Durability durability = Durability::kSafe;
  OpenOptions open = {};
};

/// One kind of thing that was mended.
struct FixedThing {
  /// "training-wrapper", "adapter-name", "key-prefix", "base-prefix", "old-type", "old-config",
  /// "ignored-tensor" or "stale-file".
  std::string what;
  /// A sentence.
  std::string message;
  std::uint64_t tensors = 0;
};

/// One adapter of a mended directory.
struct FixedAdapter {
  /// The folder it lies in, below the directory; empty for the directory itself.
  std::string folder;
  std::vector<FixedThing> mended;
  /// What could not be mended without guessing; errors among them leave the output unwritten.
  std::vector<Finding> left;
};

/// What a fix did. Whoever drops one drops the answer: the compiler warns.
class [[nodiscard]] FixReport {
 public:
  FixReport(std::vector<FixedAdapter> adapters, bool in_place)
      : adapters_(std::move(adapters)), in_place_(in_place) {}

  /// True where nothing wrong is left; only then was anything written.
  bool good() const noexcept {
    for (const auto& adapter : adapters_) {
      if (has_error(adapter.left)) return false;
    }
    return true;
  }
  const std::vector<FixedAdapter>& adapters() const noexcept { return adapters_; }
  bool in_place() const noexcept { return in_place_; }

 private:
  std::vector<FixedAdapter> adapters_;
  bool in_place_;
};

/// Mends what has one right answer: names that torch.compile, FSDP, DDP or an adapter's name left
/// in keys, a missing `base_model.model.`, types and fields of older PEFTs, a weights file that no
/// reader looks at; with a base also a wrapper's prefix. Tensors keep their bits. Everything is
/// written as one transaction, all or nothing: where something wrong is left that only a guess
/// could mend, the report says what and nothing is written. `output` may be the directory itself.
///
/// Fails with kNotFound, kCorrupt (what cannot be read at all), kUnsupported, kLimitExceeded,
/// kInvalidArgument or kIo.
FERRULE_API Result<FixReport> fix(const std::filesystem::path& directory,
                                  const std::filesystem::path& output,
                                  const FixOptions& options = {});

}  // namespace ferrule
