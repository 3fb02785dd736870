// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exchange/dialect.hpp"

namespace ferrule::exchange {

// One line for each dialect; each lives as long as the program.
const Dialect& peft_dialect();
const Dialect& per_expert_dialect();
const Dialect& fused_expert_dialect();
const Dialect& mlx_dialect();
const Dialect& kohya_dialect();
const Dialect& lycoris_dialect();
const Dialect& diffusers_dialect();
const Dialect& gguf_dialect();
const Dialect& adapterhub_dialect();
const Dialect& paddle_dialect();
const Dialect& torchtune_dialect();
const Dialect& litgpt_dialect();
const Dialect& mistral_dialect();
const Dialect& onnx_dialect();
const Dialect& lightning_dialect();
const Dialect& keras_dialect();
const Dialect& swift_dialect();

}  // namespace ferrule::exchange
