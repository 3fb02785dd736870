// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "factor/factor_pair.hpp"
#include "factor/lora_config.hpp"
#include "factor/lora_source.hpp"
#include "factor/sum_of_products.hpp"
#include "ferrule/adapter.hpp"
#include "ferrule/combine.hpp"
#include "ferrule/result.hpp"
#include "ferrule/tensor_stream.hpp"

namespace ferrule::factor {

/// One of the adapters that are combined.
struct CombineSource {
  Adapter adapter;
  std::vector<LoraModule> modules;
  double weight = 1;
};

/// A module that at least one of the adapters adapts.
struct CombineModule {
  std::string path;
  FactorLayout layout;
  /// In the order of the adapters: which one, and its module.
  struct Input {
    const CombineSource* source;
    const LoraModule* module;

    double factor() const noexcept { return source->weight * module->update.strength; }
  };
  std::vector<Input> inputs;
  Dtype dtype = Dtype::kF32;

  /// The products that add up to the update of that part, each with weight and strength.
  std::vector<Term> terms(std::size_t part) const;
};

/// Opens all adapters.
Result<std::vector<CombineSource>> open_sources(std::span<const std::filesystem::path> adapters,
                                                const CombineOptions& options);

/// All modules, sorted by path. Fails with kUnsupported (FA-6) if a module has two shapes.
Result<std::vector<CombineModule>> group_modules(const std::vector<CombineSource>& sources);

/// What is not a factor and is taken over: from which adapter each tensor comes.
struct TakenOver {
  const CombineSource* source;
  const AdapterTensor* tensor;
};
/// Fails with kUnsupported (FA-7) if two adapters have different ones.
Result<std::vector<TakenOver>> tensors_taken_over(const std::vector<CombineSource>& sources);

/// Fails with kUnsupported (FA-16) if the result would have on one layer what PEFT cannot put
/// there.
Result<void> check_one_layer(const std::vector<CombineSource>& sources,
                             const std::vector<CombineModule>& modules,
                             std::span<const TakenOver> taken_over);

/// The config of the result: that of the first adapter with ranks of the modules, everything that
/// any of them targets, and what belongs to the tensors that are taken over.
Result<AdapterConfig> combined_config(const std::vector<CombineSource>& sources,
                                      std::span<const ModuleRank> modules,
                                      std::span<const TakenOver> taken_over);

}  // namespace ferrule::factor
