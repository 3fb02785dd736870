// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferrule/result.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

/// The files of one step of a DeepSpeed checkpoint, opened and bound to each other: all ranks, of
/// one step and one run.
struct ZeroFiles {
  /// One for stage 1 and 2, one a rank for stage 3.
  std::vector<TorchState> models;
  /// One a rank; none for stage 0.
  std::vector<TorchState> optimizers;
  /// One for each expert of each expert parallel layer.
  std::vector<TorchState> experts;
  std::uint64_t world_size = 1;
  bool is_stage3 = false;
  std::optional<std::int64_t> step;
  /// False if no optimizer says at which step it is.
  bool is_step_proved = false;
};

/// What the name of a DeepSpeed file says.
struct ZeroName {
  bool is_model = false;
  /// nullopt for `mp_rank_00_model_states.pt`.
  std::optional<std::uint64_t> rank;
  std::uint64_t model_parallel_rank = 0;
  /// "bf16_", "fp16_" or nothing.
  std::string_view prefix;
};
std::optional<ZeroName> parse_zero_name(std::string_view name);

/// Fails with RS-3, RS-5, RS-6 or RS-7, naming the file.
Result<ZeroFiles> open_zero_files(Sources& sources, const std::filesystem::path& folder,
                                  const std::vector<std::string>& names);

}  // namespace ferrule::rescues
