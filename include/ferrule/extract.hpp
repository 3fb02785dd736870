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

/// What becomes of tensors that changed and are not the weight of a layer that LoRA adapts: norms,
/// biases, embeddings.
enum class OtherTensors : std::uint8_t {
  kReport,
  kKeep,  ///< As modules saved in full, and as biases of adapted layers.
};

struct ExtractOptions {
  /// The largest rank of any module.
  std::uint64_t rank = 16;
  /// The share of |update|^2 that each module keeps, if a smaller rank does it; 0 to 1.
  std::optional<double> energy = {};
  OtherTensors others = OtherTensors::kReport;
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the layers; each holds one update in memory.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// A tensor that changed and is not in A and B.
struct OtherTensor {
  std::string name;  ///< In the base's files.
  /// |tuned - base| / |base|; absent if the base has none.
  std::optional<double> relative_change;
  bool kept = false;
};

/// What extract() wrote.
struct [[nodiscard]] ExtractReport {
  std::string weights_file;
  /// Sorted by path. rank_before is 0.
  std::vector<FactoredModule> modules;
  /// Layers that did not change.
  std::uint64_t unchanged = 0;
  /// Sorted by name.
  std::vector<OtherTensor> others;
  std::uint64_t parameters = 0;
  /// |changes - written| / |changes|, over the layers that were factored.
  double relative_error = 0;
  /// FA-11 for what changed and was not kept.
  std::vector<Finding> findings;
};

/// Writes the difference of two models of one architecture as a LoRA of strength 1 in F32: the best
/// update of the rank for each layer that changed. Both models may be sharded; one update at a time
/// is in memory. `output` is wholly written or as it was.
///
/// May be called from any number of threads at once. Fails with kInvalidArgument (options),
/// kUnsupported or kCorrupt (FA-5, FA-10, FA-12), and as Checkpoint::open.
FERRULE_API Result<ExtractReport> extract(const std::filesystem::path& base,
                                          const std::filesystem::path& tuned,
                                          const std::filesystem::path& output,
                                          const ExtractOptions& options = {});

}  // namespace ferrule
