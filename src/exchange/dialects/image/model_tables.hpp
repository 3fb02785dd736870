// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The names of image and video models: those of the models' own code, which trainers and ComfyUI
/// use, and those of diffusers. Every spelling of every trainer comes from these tables; a new
/// model is one more entry.

#include <cstdint>
#include <span>
#include <string_view>

namespace ferrule::exchange {

/// What becomes of the rows of the original's weight besides being divided.
enum class Rows : std::uint8_t {
  kAsTheyAre,
  kHalvesSwapped,         ///< Shift and scale, or gate and value, changed places.
  kHalvesSwappedIfTwice,  ///< The same, if there are twice as many rows as columns.
};

/// A module of the original and the modules of diffusers that it became, both below a block's
/// names. '*' is a number.
struct NameLine {
  std::string_view original;
  std::string_view paths;  ///< In the order of the rows, separated by spaces.
  std::string_view ratio = "1";
  Rows rows = Rows::kAsTheyAre;
  /// What the number of rows is in units of the number of columns, where that tells models apart:
  /// numerator and denominator; 0 if it says nothing.
  std::uint32_t rows_per = 0;
  std::uint32_t columns = 1;
};

/// Modules with a common start of their names, the original's and that of diffusers.
struct NameBlock {
  std::string_view original;
  std::string_view path;
  std::span<const NameLine> lines = {};
  /// Names below it that are the same in both, separated by spaces; "**" is any name.
  std::string_view same = {};
  /// The pipeline's component, if it is not the transformer.
  std::string_view component = {};
};

struct ImageModel {
  std::string_view name;     ///< As --arch has it.
  std::string_view aliases;  ///< Other words for it, separated by spaces.
  std::string_view classes;  ///< Of diffusers, separated by spaces.
  std::span<const NameBlock> blocks;
  /// T5 is the second text encoder, not the third.
  bool t5_is_second = false;
  /// kohya-ss' trainers call its modules as the original does, behind `lora_unet_`.
  bool flat_original = false;
  /// Models of language have such names, too: only --base or --arch says that it is this one.
  bool must_be_named = false;
  /// The names that its text encoder has (flat_name.hpp).
  std::string_view text_family = "clip";
};

/// Models of images, of videos, and those that are alike.
std::span<const ImageModel> still_models();
std::span<const ImageModel> pixart_models();
std::span<const ImageModel> hunyuan_models();
std::span<const ImageModel> video_models();

}  // namespace ferrule::exchange
