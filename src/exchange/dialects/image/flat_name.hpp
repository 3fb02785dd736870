// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferrule::exchange {

/// A path with its dots as underscores: "mid_block_attentions_0".
std::string flatten(std::string_view path);

/// The way back, for a class of models whose parts of names are known: numbers and `words` joined
/// by dots. Words of several parts ("to_q") win over shorter ones. nullopt if the text cannot be
/// made of them.
std::optional<std::string> unflatten(std::string_view text,
                                     std::span<const std::string_view> words);

/// Parts of names of a family of models: "unet" (SD, SDXL), "clip", "t5", "llama". Empty if there
/// is no such family.
std::span<const std::string_view> words_of(std::string_view family);

/// The family that a class of diffusers or transformers belongs to
/// ("UNet2DConditionModel": "unet"); "" if it is unknown.
std::string_view family_of_class(std::string_view class_name);

/// The names of a U-Net as Stability's own code has them (input_blocks_4_1_proj_in), in those of
/// diffusers, both flattened. `layers` is the U-Net's layers_per_block. nullopt if the text is not
/// of that kind.
std::optional<std::string> from_sgm(std::string_view flat, std::uint64_t layers);
/// True if the text begins as such names do.
bool is_sgm(std::string_view flat);

}  // namespace ferrule::exchange
