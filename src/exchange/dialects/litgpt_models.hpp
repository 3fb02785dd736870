// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "exchange/base_facts.hpp"
#include "exchange/dialects/layer_names.hpp"
#include "exchange/dialects/whole_layers.hpp"

namespace ferrule::exchange {

/// The names of one family of LitGPT's models beside transformers'. Of fused modules those of their
/// parts (fused_modules.hpp). Read in litgpt 0.5.13: scripts/convert_lit_checkpoint.py.
struct LitgptModel {
  /// All but q, k and v.
  LayerNames names;
  /// What q_proj, k_proj and v_proj are below: {"self_attn", "attn.qkv"}.
  LayerNames attention;
};

/// By the model's type; those that are not listed are like llama.
const LitgptModel& litgpt_model_of(const BaseFacts& base);

/// lora_projection and lora_mlp, in transformers' names.
std::vector<LayerSwitch> litgpt_switches(const LitgptModel& model, const BaseFacts& base);

}  // namespace ferrule::exchange
