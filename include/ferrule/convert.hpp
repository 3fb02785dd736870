// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"
#include "ferrule/weights_format.hpp"

namespace ferrule {

struct ConvertOptions {
  WeightsFormat format = WeightsFormat::kSafetensors;
  Durability durability = Durability::kSafe;
  OpenOptions open = {};
};

/// One adapter of a converted directory.
struct ConvertedAdapter {
  /// The folder it lies in, below the directory; empty for the directory itself.
  std::string folder;
  /// Plain names of the weights files.
  std::string from;
  std::string to;
  std::uint64_t tensors = 0;
  std::uint64_t from_bytes = 0;
  /// Files that were copied beside the weights; empty where the directory was converted in place.
  std::vector<std::string> copied;
};

struct ConvertReport {
  std::vector<ConvertedAdapter> adapters;
  bool in_place = false;
};

/// Writes the weights of an adapter's directory in the other format (or the same one anew), tensors
/// unchanged to the bit, as one transaction: `output` is wholly converted or as it was. Adapters in
/// folders right below (PEFT's layout for names other than "default") are converted with it;
/// config, card and all other files beside the weights stay or are copied as they are. A stale
/// weights file of the other format goes. `output` may be the directory itself.
///
/// Memory stays at a few megabytes whatever the size of the weights. Nothing in a pickle is run.
/// Fails with kNotFound, kCorrupt (AD-15, AD-16 where it is no adapter), kUnsupported,
/// kLimitExceeded, kInvalidArgument or kIo.
FERRULE_API Result<ConvertReport> convert(const std::filesystem::path& directory,
                                          const std::filesystem::path& output,
                                          const ConvertOptions& options = {});

}  // namespace ferrule
