// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ferrule/result.hpp"
#include "ferrule/safetensors_file.hpp"
#include "rescue/found.hpp"

namespace ferrule::rescues {

/// The tensors of a safetensors file, each whole in one piece, and its metadata.
struct OpenedSafetensors {
  std::size_t source = 0;
  std::vector<FoundTensor> tensors = {};
  Metadata metadata;
  /// Of the data section.
  std::uint64_t data_start = 0;
  std::uint64_t data_bytes = 0;
};
Result<OpenedSafetensors> open_safetensors(Sources& sources, const std::filesystem::path& path);

Result<Found> find_safetensors(const std::shared_ptr<Sources>& sources,
                               const std::filesystem::path& path);

/// A model in several files with an index (`model.safetensors.index.json`). Torch shards are read
/// too (`pytorch_model.bin.index.json`).
Result<Found> find_indexed(const std::shared_ptr<Sources>& sources,
                           const std::filesystem::path& folder, const std::string& index);

}  // namespace ferrule::rescues
