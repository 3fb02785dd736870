// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferrule::rescues {

/// The step that a name says: of "checkpoint-500", "global_step2", "iter_0000010",
/// "epoch=3-step=12", "epoch=3-step=12-v1.ckpt". nullopt for "last.ckpt", and for
/// "epoch=3-loss=0.25.ckpt", whose last number is not a step.
std::optional<std::int64_t> number_in(std::string_view name);

/// True for the name of a step's folder in the folder of a run.
bool is_step_folder(std::string_view name);

/// By the step that the names say; names without one come last.
void newest_first(std::vector<std::string>& names);

}  // namespace ferrule::rescues
