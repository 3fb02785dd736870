// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "factor/dense_update.hpp"
#include "factor/factor_pair.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/checkpoint.hpp"
#include "ferrule/extract.hpp"
#include "ferrule/result.hpp"

namespace ferrule::factor {

/// A tensor in both models.
struct TensorPair {
  std::string name;  ///< In the files.
  std::string live;  ///< In the live model.
  TensorView base;
  TensorView tuned;
};

/// The weight of a layer that changed.
struct ChangedLayer {
  TensorPair weight;
  FactorLayout layout;
  /// transformers' Conv1D: the weight is [in, out].
  bool transposed = false;
};

/// What differs between two models.
struct ExtractPlan {
  std::vector<ChangedLayer> layers;  ///< Sorted by path.
  std::vector<TensorPair> others;    ///< Sorted by name; `base` is empty if only tuned has it.
  /// Paths of layers that LoRA could adapt and that did not change.
  std::vector<std::string> unchanged;
  bool has_conv1d = false;
};

/// The two models, kept open.
struct ModelPair {
  BaseModel base_model;
  BaseModel tuned_model;
  Checkpoint base;
  Checkpoint tuned;

  static Result<ModelPair> open(const std::filesystem::path& base,
                                const std::filesystem::path& tuned, const OpenOptions& options);
};

/// Compares all tensors. Fails with kUnsupported (FA-10, FA-12).
Result<ExtractPlan> plan_extract(const ModelPair& models, const std::filesystem::path& tuned);

/// tuned - base as on disk, rounded once; made of the mapped files when it is multiplied first.
DenseUpdate difference(const ChangedLayer& layer);

/// |tuned - base| / |base|, or nullopt.
std::optional<double> relative_change(const TensorPair& pair);

}  // namespace ferrule::factor
