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
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core. Two read and write at the same time.
  unsigned threads = 1;
  OpenOptions open = {};
};

/// One adapter of a converted directory.
struct ConvertedAdapter {
  /// Its folder below the directory; empty for the directory itself.
  std::string folder;
  /// Plain names of the weights files.
  std::string from;
  std::string to;
  std::uint64_t tensors = 0;
  std::uint64_t from_bytes = 0;
  /// Files that were copied along; empty if the directory was converted in place.
  std::vector<std::string> copied;
};

struct ConvertReport {
  std::vector<ConvertedAdapter> adapters;
  bool in_place = false;
};

/// Writes the weights of an adapter's directory in the other format (or the same one again),
/// tensors unchanged to the bit, as one transaction: `output` is wholly converted or as it was.
/// Adapters in folders right below (PEFT's layout for names other than "default") are converted
/// with it; config, card and all other files stay or are copied as they are. A stale weights file
/// of the other format goes. `output` may be the directory itself.
///
/// Memory stays at a few megabytes whatever the size of the weights. Nothing in a pickle is run.
/// May be called from any number of threads at once; calls for one output wait for each other.
/// Fails with kNotFound, kCorrupt (AD-15, AD-16 if it is not an adapter), kUnsupported,
/// kLimitExceeded, kInvalidArgument or kIo.
FERRULE_API Result<ConvertReport> convert(const std::filesystem::path& directory,
                                          const std::filesystem::path& output,
                                          const ConvertOptions& options = {});

}  // namespace ferrule
