// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "ferrule/tensor_source.hpp"

namespace ferrule::adapter {

/// True if a directory with these files is an adapter, whole or not: PEFT's config or weights.
bool holds_adapter(const std::vector<std::string>& files);

/// The parts of an adapter's directory, all of one generation.
struct AdapterFiles {
  /// Not null.
  std::shared_ptr<const AdapterConfig> config;
  std::unique_ptr<TensorSource> weights;
  std::filesystem::path weights_file;
  Metadata metadata;
  std::uint64_t file_bytes = 0;
  /// Tensors of an adapter_model.bin that is whole, next to an adapter_model.safetensors whose
  /// tensors are all empty; 0 otherwise. A trainer gathered the one, and save_pretrained put the
  /// other next to it on one rank of a sharded model.
  std::uint64_t whole_bin_tensors = 0;
  /// The file has the other format's name: adapter_model.bin is a safetensors file, or
  /// adapter_model.safetensors one of torch. PEFT opens neither.
  bool misnamed = false;
  /// adapter_config.json.
  std::string config_text = {};
};

/// What is read if PEFT could not: a whole adapter_model.bin next to an empty
/// adapter_model.safetensors, a torch file under the name adapter_model.safetensors.
enum class EmptyWeights : std::uint8_t { kAsPeft, kTakeWholeBin };

/// Reads config and weights in PEFT's own lookup order: adapter_model.safetensors wins over
/// adapter_model.bin, and a bad one never falls back to the other (AD-15), except that
/// kTakeWholeBin takes a whole adapter_model.bin in place of an empty adapter_model.safetensors.
/// Reads again if a save swapped the directory meanwhile.
Result<AdapterFiles> open_adapter_files(const std::filesystem::path& directory,
                                        const OpenOptions& options,
                                        EmptyWeights empty = EmptyWeights::kAsPeft);

}  // namespace ferrule::adapter
