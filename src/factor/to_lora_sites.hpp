// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "factor/factor_pair.hpp"
#include "factor/truncated.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/base_model.hpp"
#include "ferrule/result.hpp"
#include "merge/base_files.hpp"
#include "merge/live_tensors.hpp"
#include "merge/method.hpp"

namespace ferrule::factor {

/// A base model with its weights.
struct OpenBase {
  merging::BaseFiles files;
  BaseModel model;
  merging::LiveTensors live;

  static Result<OpenBase> open(const std::filesystem::path& directory, const OpenOptions& options);
};

/// A module of an adapter of any method, on its layer.
struct ToLoraSite {
  merging::Site site;
  FactorLayout layout;
  /// The weight is [in, out] on disk: Conv1D and embeddings.
  bool turned = false;
  /// The base's own; absent without a base.
  std::optional<TensorView> weight;
  std::optional<TensorView> bias;
  /// The update is a product already.
  std::optional<update::LowRankUpdate> product;
};

/// Every module that the adapter's method changes, sorted by path. Without a base the shape of the
/// weight is that of the factors. Fails with kUnsupported (FA-14, FA-15) and as a merge does.
Result<std::vector<ToLoraSite>> to_lora_sites(const Adapter& adapter, const OpenBase* base);

/// What the method adds to the weight, as [out, in], computed in double.
Result<DenseUpdate> update_of(const ToLoraSite& site);

/// What it adds to the bias; empty for nothing.
Result<std::vector<double>> bias_update_of(const ToLoraSite& site);

}  // namespace ferrule::factor
