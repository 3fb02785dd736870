// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/adapter.hpp"
#include "ferrule/dtype.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/json.hpp"

namespace ferrule {

enum class DiffVerdict : std::uint8_t {
  kSame,    ///< Equal within the tolerance.
  kScaled,  ///< b is a multiple of a.
  kDifferent,
  kOnlyA,  ///< b has no such module (or tensor).
  kOnlyB,
  kShape,  ///< They do not fit one base.
};

/// "same", "scaled", "different", "only_a", "only_b" or "shape".
FERRULE_API std::string_view diff_verdict_name(DiffVerdict verdict) noexcept;

/// How two updates compare. A number that does not exist (an update of zero has no
/// direction, a NaN no size) is absent.
struct DiffMeasure {
  DiffVerdict verdict = DiffVerdict::kSame;
  /// b over a; only if same or scaled.
  std::optional<double> factor;
  /// |a - b| / |a|.
  std::optional<double> relative_distance;
  std::optional<double> cosine;
};

/// One tensor of the two files, whatever it means.
struct TensorDiff {
  /// The role and what follows it ("lora_B", "lora_B.bias").
  std::string name;
  DiffMeasure measure;
  std::optional<Dtype> dtype_a, dtype_b;
  std::vector<std::uint64_t> shape_a, shape_b;
  std::optional<double> largest_difference;
};

struct ModuleDiff {
  /// On disk, without `base_model.model.`; empty for what belongs to the whole model.
  std::string path;
  DiffMeasure measure;
  /// If asked for.
  std::vector<TensorDiff> tensors;
};

/// A field of the configs whose values mean something else; absent if a config lacks it.
struct ConfigDiff {
  std::string field;
  std::optional<Json> a, b;
};

/// What diff() found.
struct [[nodiscard]] DiffReport {
  DiffMeasure measure;
  /// Sorted by path.
  std::vector<ModuleDiff> modules;
  /// Sorted by field.
  std::vector<ConfigDiff> config;
  /// Values that are not finite.
  std::vector<Finding> findings;
};

struct DiffOptions {
  bool tensors = false;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. They divide the modules.
  unsigned threads = 1;
};

/// Compares what two adapters do to a base: for LoRA pairs their updates by low-rank algebra, so
/// that factors that were rescaled or rotated are equal; other methods by tensors and strength.
/// Which differences count as none is in docs/cli.md.
/// May be called from any number of threads at once.
FERRULE_API DiffReport diff(const Adapter& a, const Adapter& b, const DiffOptions& options = {});

}  // namespace ferrule
