// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "ferrule/result.hpp"
#include "rescue/found.hpp"
#include "rescue/torch_pieces.hpp"

namespace ferrule::rescues {

/// A single file of torch.save: a state dict, a trainer's dictionary that has one, or a checkpoint
/// of Lightning.
Result<Found> find_torch_file(const std::shared_ptr<Sources>& sources,
                              const std::filesystem::path& path);

/// The same of a part of a file: a state dict that DCP saved as one object.
Result<Found> find_torch_state(Sources& sources, const TorchState& file);

/// The step that a checkpoint of Lightning says, a file or a folder; nullopt if it cannot be read.
std::optional<std::int64_t> step_inside(const std::filesystem::path& path);

}  // namespace ferrule::rescues
