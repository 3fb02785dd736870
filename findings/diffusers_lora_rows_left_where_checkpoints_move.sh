#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# diffusers 0.42.1, torch 2.13.0, seen 2026-11-29.
#
# diffusers reads a model's checkpoint in its authors' names, and LoRA files in the same names. Where the two give a module other rows, the
# LoRA of that module lands on the wrong rows of the weight, without a message:
#  - Flux 2: the checkpoint's final_layer.adaLN_modulation.1 changes its halves (shift and scale), the LoRA's B does not;
#  - HunyuanVideo: of the LoRA of the token refiner's self_attn_qkv, A is divided into thirds by rank as if it were B, so that q, k and v each get a
#    third of the ranks of A beside all columns of B, which cannot be multiplied;
#  - HunyuanVideo: of final_layer.adaLN_modulation.1 the halves of A change places, too, which pairs each rank of A with another one of B.
#
# Seen, distance of the LoRA's update from the same update as a checkpoint's weight: Flux 2 1.3 times its norm, HunyuanVideo's last layer 1.5
# times; the refiner's q has A of rank 2 and B of rank 6.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 diffusers==0.42.1 accelerate==1.15.0
"$work/env/bin/python" - <<'PYTHON'
import torch
from diffusers.loaders import lora_conversion_utils, single_file_utils

torch.manual_seed(0)
a, b = torch.randn(6, 8), torch.randn(24, 6)


def distance(x, y):
    return ((x - y).norm() / y.norm()).item()


def lora(name):
    return {f"{name}.lora_A.weight": a.clone(), f"{name}.lora_B.weight": b.clone()}


name = "final_layer.adaLN_modulation.1"
weight = single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers({name + ".weight": b @ a})["norm_out.linear.weight"]
state = lora_conversion_utils._convert_non_diffusers_flux2_lora_to_diffusers({"diffusion_model." + key: value for key, value in lora(name).items()})
flux = distance(state["transformer.norm_out.linear.lora_B.weight"] @ state["transformer.norm_out.linear.lora_A.weight"], weight)

weight = single_file_utils.convert_hunyuan_video_transformer_to_diffusers({name + ".weight": b @ a})["norm_out.linear.weight"]
state = lora_conversion_utils._convert_hunyuan_video_lora_to_diffusers(lora(name))
hunyuan = distance(state["transformer.norm_out.linear.lora_B.weight"] @ state["transformer.norm_out.linear.lora_A.weight"], weight)

state = lora_conversion_utils._convert_hunyuan_video_lora_to_diffusers(lora("txt_in.individual_token_refiner.blocks.0.self_attn_qkv"))
q = "transformer.context_embedder.token_refiner.refiner_blocks.0.attn.to_q"
ranks = state[q + ".lora_A.weight"].shape[0], state[q + ".lora_B.weight"].shape[1]
print(f"Flux 2 {flux:.2f}, HunyuanVideo {hunyuan:.2f}, ranks of the refiner's q {ranks}")
assert flux > 0.5 and hunyuan > 0.5, "the updates are where the checkpoint has them now"
assert ranks == (2, 6), "A of the refiner is shared now"
PYTHON
