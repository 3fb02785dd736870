// SPDX-License-Identifier: Apache-2.0
#include "exchange/dialects/image/file_key.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace ferrule::exchange {
namespace {

struct Ending {
  std::string_view text;
  std::string_view leaf;
};

/// Longer ones before those that they end in.
constexpr Ending kEndings[] = {
    {".lora_linear_layer.down.weight", "down"},
    {".lora_linear_layer.up.weight", "up"},
    {".lora_A.default.weight", "down"},
    {".lora_B.default.weight", "up"},
    {".lora_B.default.bias", "bias"},
    {".lora_magnitude_vector.default.weight", "magnitude"},
    {".lora_magnitude_vector.default", "magnitude"},
    {".lora_magnitude_vector.weight", "magnitude"},
    {".lora_magnitude_vector", "magnitude"},
    {".lora_down.weight", "down"},
    {".lora_up.weight", "up"},
    {".lora_mid.weight", "mid"},
    {".lora.down.weight", "down"},
    {".lora.up.weight", "up"},
    {".lora_A.weight", "down"},
    {".lora_B.weight", "up"},
    {".lora_B.bias", "bias"},
    {"_lora.down.weight", "down"},
    {"_lora.up.weight", "up"},
    {"_lora.alpha", "alpha"},
    {".lora_A", "down"},
    {".lora_B", "up"},
    {".lora_linear_layer.alpha", "alpha"},
    {".lora.alpha", "alpha"},
    {".alpha", "alpha"},
    {".dora_scale", "dora_scale"},
    {".diff_b", "diff_b"},
    {".diff", "diff"},
};

/// Methods whose tensors keep their names.
constexpr std::string_view kOthers[] = {
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1",   "hada_t2", "lokr_w1",
    "lokr_w1_a", "lokr_w1_b", "lokr_w2",   "lokr_w2_a", "lokr_w2_b", "lokr_t1", "lokr_t2"};

/// XLabs numbers its factors: "processor.qkv_lora1.down.weight" is of the image, 2 of the text.
std::optional<FileKey> numbered_key(std::string_view name) {
  constexpr Ending kFactors[] = {{".down.weight", "down"}, {".up.weight", "up"}};
  for (const auto& [text, leaf] : kFactors) {
    if (!name.ends_with(text)) continue;
    const auto module = name.substr(0, name.size() - text.size());
    for (const auto tail : {"_lora1", "_lora2", ".processor.qkv_lora", ".processor.proj_lora"}) {
      if (module.ends_with(tail)) return FileKey{std::string(module), leaf};
    }
  }
  return std::nullopt;
}

/// A whole weight of a norm of attention, which a LoRA for control brings along.
std::optional<FileKey> norm_key(std::string_view name) {
  for (const std::string_view tail :
       {".query_norm.scale", ".key_norm.scale", ".norm_q.weight", ".norm_k.weight",
        ".norm_added_q.weight", ".norm_added_k.weight"}) {
    if (name.ends_with(tail)) return FileKey{std::string(name.substr(0, name.rfind('.'))), "whole"};
  }
  return std::nullopt;
}

}  // namespace

FileKey split_file_key(std::string_view name) {
  if (auto key = numbered_key(name)) return std::move(*key);
  for (const auto& ending : kEndings) {
    if (!name.ends_with(ending.text)) continue;
    return {std::string(name.substr(0, name.size() - ending.text.size())), ending.leaf};
  }
  if (auto key = norm_key(name)) return std::move(*key);
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos) return {.module = {}, .leaf = name, .known = false};
  const auto last = name.substr(dot + 1);
  if (std::find(std::begin(kOthers), std::end(kOthers), last) != std::end(kOthers)) {
    return {std::string(name.substr(0, dot)), last};
  }
  // "lora_unet_x.oft_blocks": of a module without dots everything behind the first.
  const auto first = name.find('.');
  return {std::string(name.substr(0, first)), name.substr(first + 1), false};
}

}  // namespace ferrule::exchange
