// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/base_model.hpp"

namespace ferrule::checks {

/// Where the base keeps what `path` names, in another division.
struct Neighbor {
  std::string path;
  /// What is there, and what follows for the adapter.
  std::string message;
};

/// The fused layer that holds `path` ("qkv_proj" next to "q_proj"), a part of it, or the parameter
/// of fused experts; nullopt if the base has nothing of the kind at that place.
std::optional<Neighbor> find_neighbor(const model::BaseIndex& base, std::string_view path);

/// True if one of the two names is a part of what the other fuses: "in_proj_q" and "in_proj_qkv",
/// "gate_proj" and "gate_up_proj".
bool is_part_of(std::string_view part, std::string_view whole);

}  // namespace ferrule::checks
