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

/// How the new ranks are chosen: exactly one of the four.
struct ResizeOptions {
  /// The largest rank of any module.
  std::optional<std::uint64_t> rank = {};
  /// The share of |update|^2 that each module keeps, 0 to 1.
  std::optional<double> energy = {};
  /// |update - kept| / |update| that is allowed in each module.
  std::optional<double> max_error = {};
  /// Elements that all A and B may have together: rank 1 for every module, and the rest by
  /// singular values, the largest of all modules first.
  std::optional<std::uint64_t> budget = {};
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the modules.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// What resize() wrote.
struct [[nodiscard]] ResizeReport {
  bool in_place = false;
  std::string weights_file;
  /// Sorted by path.
  std::vector<FactoredModule> modules;
  /// Elements of all A and B, before and after.
  std::uint64_t parameters_before = 0;
  std::uint64_t parameters = 0;
  /// |updates - kept| / |updates|, over all modules.
  double relative_error = 0;
  /// Files that were copied along; empty if it was done in place.
  std::vector<std::string> copied;
  std::vector<Finding> findings;
};

/// Cuts the update of every module of a LoRA to a smaller rank, optimally (in Frobenius norm), and
/// writes rank_pattern and alpha_pattern so that PEFT loads it. Strengths and dtypes stay; modules
/// whose rank does not change keep their bytes, as does everything that is not A or B (magnitudes
/// of DoRA, biases, modules saved in full). `output` may be the directory itself, and is wholly
/// written or as it was.
///
/// May be called from any number of threads at once. Fails with kInvalidArgument (options, a
/// budget below rank 1), kUnsupported or kCorrupt (FA-1 to FA-6), and as Adapter::open.
FERRULE_API Result<ResizeReport> resize(const std::filesystem::path& directory,
                                        const std::filesystem::path& output,
                                        const ResizeOptions& options);

}  // namespace ferrule
