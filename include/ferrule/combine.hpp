// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/factored_module.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// How adapters are added up. The names are those of PEFT's add_weighted_adapter.
enum class CombineMethod : std::uint8_t {
  kCat,  ///< Exact: A and B of all one after the other, the ranks add up.
  kSvd,  ///< The best approximation of the sum of the updates that has the rank asked for.
  // On A and B apart, as PEFT does: an approximation with cross terms. Equal ranks only.
  kLinear,
  kTies,
  kDareLinear,
  kDareTies,
  kMagnitudePrune,
  // The same on the updates, cut to the rank asked for.
  kTiesSvd,
  kDareLinearSvd,
  kDareTiesSvd,
  kMagnitudePruneSvd,
};

/// "cat", "svd", "ties_svd" and so on, in the order of the enumeration.
FERRULE_API std::span<const std::string_view> combine_method_names() noexcept;
FERRULE_API std::string_view combine_method_name(CombineMethod method) noexcept;

struct CombineOptions {
  CombineMethod method = CombineMethod::kSvd;
  /// A factor on the update of each adapter, in their order; empty for 1 each.
  std::vector<double> weights = {};
  /// Of kSvd and the ..._svd methods: the largest rank of the result. Without it the largest rank
  /// among the inputs.
  std::optional<std::uint64_t> rank = {};
  /// The share of values that survive, 0 to 1: of all methods except kCat, kSvd and kLinear, which
  /// require it.
  std::optional<double> density = {};
  /// Of the dare methods: the draws are those of torch's CPU generator with this seed, module after
  /// module by path.
  std::uint64_t seed = 0;
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the modules.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// What combine() wrote.
struct [[nodiscard]] CombineReport {
  std::string weights_file;
  /// Sorted by path. The error is the distance to the true sum of the updates; of the ..._svd
  /// methods other than kSvd, to what the method makes of the updates before they are cut.
  std::vector<FactoredModule> modules;
  /// Elements of all A and B that were written.
  std::uint64_t parameters = 0;
  /// The same over all modules.
  double relative_error = 0;
  /// Warnings and notes (FA-8, FA-9).
  std::vector<Finding> findings;
};

/// Writes the weighted sum of LoRA adapters of one base as one plain LoRA in F32 (F64 if an input
/// is), in which every module has strength 1. Ranks, alphas, patterns and rsLoRA of the inputs may
/// differ, except for the methods on A and B separately. What is not an update (modules saved in
/// full, biases of the base, trained tokens) is taken over if only one adapter has it, or all
/// agree.
///
/// `output` is wholly written or as it was. May be called from any number of threads at once.
/// Fails with kInvalidArgument (options), kUnsupported or kCorrupt (FA-1 to FA-7), and as
/// Adapter::open.
FERRULE_API Result<CombineReport> combine(std::span<const std::filesystem::path> adapters,
                                          const std::filesystem::path& output,
                                          const CombineOptions& options = {});

}  // namespace ferrule
