// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace ferrule::exchange {

/// A tensor's name in a file of an image adapter, taken apart: "lora_unet_mid_block_..." and
/// "down".
struct FileKey {
  /// As the file spells it, without the tensor's own part. Empty if the name has none.
  std::string module;
  /// The tensor's part in one spelling for all programs: "down", "up", "mid", "alpha",
  /// "dora_scale", "magnitude", "bias", "diff", "diff_b", "whole", "hada_w1_a" .... If it is not a
  /// known one, all of the name after the module.
  std::string_view leaf;
  bool known = true;
};

/// Takes apart the spellings of kohya-ss, LyCORIS, A1111, ComfyUI, PEFT and diffusers old and new.
/// The name must outlive the result.
FileKey split_file_key(std::string_view name);

}  // namespace ferrule::exchange
