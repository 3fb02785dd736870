// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/read_limits.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// An adapter's directory, and a factor on its update.
struct MergeSource {
  std::filesystem::path adapter = {};
  double weight = 1;
};

enum class MergeRounding : std::uint8_t {
  /// Where PEFT rounds: PeftModel.from_pretrained(...).merge_and_unload() on a CPU, to the bit
  /// where
  /// docs/merge.md says so.
  kPeft,
  /// All adapters are added in double precision to the base as it is stored, and the sum is rounded
  /// once.
  kOnce,
};

/// The dtype of the output's weights. Integers stay as they are, quantized weights only with kKeep:
/// otherwise they are dequantized.
enum class MergeDtype : std::uint8_t { kKeep, kF32, kBF16, kF16 };

/// What happens to files of the base that come out unchanged.
enum class MergeSharing : std::uint8_t {
  kLink,  ///< Weights become hard links if the file system can do that.
  kCopy,
};

/// Whether the output may be the base itself.
enum class MergePlace : std::uint8_t { kNew, kInPlace };

/// What a merge that was killed left.
enum class MergeStart : std::uint8_t {
  kFresh,   ///< Is removed.
  kResume,  ///< Is used: files that are complete and undamaged are not made again.
};

struct MergeProgress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

struct MergeOptions {
  MergeRounding rounding = MergeRounding::kPeft;
  MergeDtype dtype = MergeDtype::kKeep;
  MergeSharing sharing = MergeSharing::kLink;
  MergePlace place = MergePlace::kNew;
  MergeStart start = MergeStart::kFresh;
  Durability durability = Durability::kSafe;
  /// How many threads may work at once, the caller's included; 1 starts none, 0 means one for each
  /// core.
  unsigned threads = 1;
  OpenOptions open = {};
  /// Called between files, and never from two threads at once. May be empty.
  std::function<void(const MergeProgress&)> progress = {};
};

/// A file of weights of the output.
struct MergedFile {
  std::string name;
  std::uint64_t bytes = 0;
  /// Tensors whose values an adapter changed, sorted.
  std::vector<std::string> changed = {};
  /// Tensors that the base does not have.
  std::vector<std::string> added = {};
  bool linked = false;   ///< It is the base's own file under a second name.
  bool resumed = false;  ///< A merge before this one had completed it.
};

struct [[nodiscard]] MergeReport {
  bool in_place = false;
  /// Modules of all adapters that were merged.
  std::uint64_t modules = 0;
  std::vector<MergedFile> files;
  /// Other files and folders that came along.
  std::vector<std::string> copied;
  /// Files with the base's weights in another format, which were not copied.
  std::vector<std::string> left_out;
  /// The head is no longer tied to the embedding.
  bool untied = false;
  std::uint64_t bytes_written = 0;
  std::vector<Finding> findings;
};

/// Writes the model that `base` becomes with the adapters merged into its weights, one after the
/// other: a directory with the same files, shards, names and index. Tensors that no adapter touches
/// are equal to the bit.
///
/// `base` is a directory with config.json and the weights, in safetensors or torch files. `output`
/// must not exist, or be an empty directory, or with MergePlace::kInPlace be `base`. It appears as
/// a whole or not at all.
///
/// Memory stays at a few megabytes for each thread while all adapters are LoRAs or other products
/// of thin factors; other methods need each weight whole.
///
/// May be called from any number of threads at once; calls for one output wait for each other.
/// Fails with kUnsupported or kCorrupt (MG and BS rules, and those of opening), kInvalidArgument,
/// kNotFound, kIo or kLimitExceeded.
FERRULE_API Result<MergeReport> merge(std::span<const MergeSource> adapters,
                                      const std::filesystem::path& base,
                                      const std::filesystem::path& output,
                                      const MergeOptions& options = {});

/// Subtracts the adapters' updates from a model that they were merged into, in the opposite order.
/// The result is as near to the model before the merge as the dtype allows; what a merge overwrites
/// (DoRA's norms, modules saved in full, biases, tokens) cannot be undone and is refused (MG-9).
FERRULE_API Result<MergeReport> unmerge(std::span<const MergeSource> adapters,
                                        const std::filesystem::path& merged,
                                        const std::filesystem::path& output,
                                        const MergeOptions& options = {});

}  // namespace ferrule
