// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferrule/adapter_config.hpp"
#include "ferrule/dtype.hpp"
#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/result.hpp"

namespace ferrule {

/// Where a rank's part is in a tensor.
enum class ShardKind : std::uint8_t {
  kBox,   ///< A range in each dimension: FSDP2, tensor parallelism (DTensor), a whole copy.
  kFlat,  ///< A run of the elements in row-major order: FSDP1, ZeRO-3.
};

/// A tensor of a job, and what one rank has of it.
struct ShardTensor {
  /// As the live model has it, or as it is on disk. Base weights may be listed without bytes: their
  /// names show which layers are adapted.
  std::string name = {};
  Dtype dtype = Dtype::kF32;
  /// Of the whole tensor.
  std::vector<std::uint64_t> shape = {};
  ShardKind kind = ShardKind::kBox;
  /// Of the part: one number a dimension (kBox), or its first element (kFlat).
  std::vector<std::uint64_t> offset = {};
  /// Likewise; 0 in any place if the rank has nothing of it.
  std::vector<std::uint64_t> sizes = {};
  /// Row-major, of the caller; empty if the rank has nothing.
  std::span<const std::byte> bytes = {};
};

/// One of a job's tensors that is part of the adapter.
struct AdapterKey {
  /// Its place in what was given.
  std::size_t index = 0;
  /// Its name on disk.
  std::string key;
};

/// Which tensors of a job are the adapter's, only by names and shapes (`offset`, `sizes` and
/// `bytes` are not looked at), so that a rank need not fetch any other. `adapter` is its name, or
/// empty if there is only one. Fails with kCorrupt (RS-10 to RS-12, AD-*, KY-*) or kUnsupported.
FERRULE_API Result<std::vector<AdapterKey>> adapter_keys(std::span<const ShardTensor> tensors,
                                                         const AdapterConfig& config,
                                                         const std::string& adapter = {});

struct SaveShardOptions {
  std::uint64_t rank = 0;
  std::uint64_t world_size = 1;
  /// The same on all ranks of one job, and on no other: the launcher's (TORCHELASTIC_RUN_ID).
  std::string run_id = {};
  /// The shards of a step go into the folder `step-00000500`; without one, into the directory
  /// itself, as step 0.
  std::optional<std::uint64_t> step = {};
  /// The adapter's name in the tensors' names; empty if there is only one.
  std::string adapter = {};
  Durability durability = Durability::kSafe;
};

/// What save_shard() wrote.
struct [[nodiscard]] SaveShardReport {
  std::filesystem::path file;
  std::uint64_t tensors = 0;  ///< Of which this rank has something.
  std::uint64_t file_bytes = 0;
};

/// Writes what this rank has of an adapter, without asking any other rank: nothing waits, and a
/// dead rank cannot hang it. All ranks write into one directory; assemble() puts the adapter
/// together. Rank 0 writes adapter_config.json too. The file appears whole or not at all. The
/// format is docs/rescue.md's; torch's DCP reads it if all parts are boxes.
///
/// Fails with kInvalidArgument (a part that does not fit its tensor, rank and world size), as
/// adapter_keys() does, or with kIo.
FERRULE_API Result<SaveShardReport> save_shard(std::span<const ShardTensor> tensors,
                                               const AdapterConfig& config,
                                               const std::filesystem::path& directory,
                                               const SaveShardOptions& options);

}  // namespace ferrule
