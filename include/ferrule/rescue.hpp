// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ferrule/durability.hpp"
#include "ferrule/export.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/result.hpp"
#include "ferrule/written_file.hpp"

namespace ferrule {

/// Which copy of the weights is taken if a checkpoint has two.
enum class PreferredWeights : std::uint8_t {
  /// What PEFT would have saved: the model's own weights in ZeRO-1 and 2. In ZeRO-3, which only has
  /// the optimizer's, those.
  kAuto,
  /// The optimizer's FP32 weights, where a checkpoint has them.
  kMaster,
  /// The model's weights in its own dtype; in ZeRO-3 the optimizer's, rounded to it.
  kWorking,
};

struct RescueOptions {
  /// adapter_config.json; empty if the checkpoint holds it.
  std::filesystem::path config = {};
  /// The adapter's name in the checkpoint; empty if it has only one.
  std::string adapter = {};
  PreferredWeights prefer = PreferredWeights::kAuto;
  Durability durability = Durability::kSafe;
};

/// What rescue() or assemble() wrote, and out of what.
struct [[nodiscard]] RescueReport {
  /// In words: "a DeepSpeed ZeRO-3 checkpoint".
  std::string kind;
  /// The folder or file that the tensors came from: the step that was taken.
  std::filesystem::path source;
  /// As the checkpoint says it, or as its folder is called.
  std::optional<std::int64_t> step;
  /// Ranks of the job that wrote it, if that is known.
  std::optional<std::uint64_t> world_size;
  /// The adapter's name in the checkpoint; empty if its tensors have none.
  std::string adapter;
  std::string peft_type;
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  /// Size of the weights file.
  std::uint64_t file_bytes = 0;
  /// Files of the checkpoint that were opened, their sizes, and what was read of them.
  std::uint64_t files = 0;
  std::uint64_t checkpoint_bytes = 0;
  std::uint64_t bytes_read = 0;
  /// Warnings and notes: steps that were passed over, what the format cannot prove.
  std::vector<Finding> findings = {};
};

/// Takes the adapter out of a training checkpoint: one of DeepSpeed (ZeRO 1, 2 and 3, universal),
/// torch's distributed checkpoints (DCP, as FSDP, Accelerate and Trainer write them), files of
/// torch.save (full, of each rank, Lightning's), safetensors. `checkpoint` is a file, the folder of
/// a step, or the folder of a run, of which the newest complete step is taken. Needs no GPU, no
/// torch and no trainer; runs no code of the checkpoint; reads the adapter's bytes and the
/// descriptions around them.
///
/// Writes `output` (adapter_model.safetensors and adapter_config.json, the given one to the byte)
/// only if every tensor of the adapter is there, whole and of one step (docs/rules/RS.md).
/// Otherwise fails with kCorrupt, kUnsupported, kNotFound, kLimitExceeded or kIo, and the message
/// and path say which file or tensor is at fault; `output` is as it was.
///
/// May be called from any number of threads at once; calls for one output wait for each other.
FERRULE_API Result<RescueReport> rescue(const std::filesystem::path& checkpoint,
                                        const std::filesystem::path& output,
                                        const RescueOptions& options = {});

}  // namespace ferrule
