// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/factored_module.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// How the ranks are chosen: one of the two, or both (the smaller rank).
struct ToLoraOptions {
  /// The largest rank of any module.
  std::optional<std::uint64_t> rank = {};
  /// |update - kept| / |update| that is allowed in each module.
  std::optional<double> max_error = {};
  /// The directory of the base model; empty for none. Methods that multiply the weight (DoRA, OFT,
  /// BOFT, HRA, IA3) need it, and methods whose files do not tell the shape of the weight.
  std::filesystem::path base = {};
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the modules; each holds one update in memory.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// What to_lora() wrote.
struct [[nodiscard]] ToLoraReport {
  std::string weights_file;
  /// "LOHA": what it was.
  std::string from;
  /// Sorted by path. rank_before is 0.
  std::vector<FactoredModule> modules;
  std::uint64_t parameters = 0;
  /// |updates - written| / |updates|, over all modules.
  double relative_error = 0;
  std::vector<Finding> findings;
};

/// Writes what an adapter of another method adds to the base as a LoRA of strength 1 in F32: the
/// best update of the rank for each module. Modules saved in full, biases and trained tokens are
/// taken over. `output` is wholly written or as it was.
///
/// May be called from any number of threads at once. Fails with kInvalidArgument (options),
/// kUnsupported or kCorrupt (FA-5, FA-14, FA-15; with a base also BS and MG rules), and as
/// Adapter::open.
FERRULE_API Result<ToLoraReport> to_lora(const std::filesystem::path& directory,
                                         const std::filesystem::path& output,
                                         const ToLoraOptions& options);

}  // namespace ferrule
