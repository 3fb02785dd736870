#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# refiners 0.4.0, torch 2.13.0, seen 2026-11-29.
#
# refiners reads LoRA files with the common names of kohya's tools, but does not look at the names when it attaches them: each pair of tensors
# goes to the first layer of the U-Net whose shape fits and which has none yet. A file that adapts every attention layer in order comes out right. One
# that adapts some of them, only to_v or only the upper blocks, say, changes the first layers of the model, and nothing is reported as failed. The
# tensors named .alpha are dropped, so every pair acts with strength 1: one trained with alpha 1 at rank 4 acts four times too strong.
#
# Seen: a pair for to_v of the first block is attached to to_q of the first block; a pair for the last upper block to the same layer in
# the down blocks; nothing failed; scale 1.0 with alpha 1 and rank 4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 refiners==0.4.0
"$work/env/bin/python" - <<'PYTHON'
import torch
from refiners.fluxion.adapters.lora import Lora, auto_attach_loras
from refiners.foundationals.latent_diffusion import SD1UNet

# What SDLoraManager leaves out of a U-Net when a file has no keys for it.
OTHERS = ["TimestepEncoder", "ResidualBlock", "Downsample", "Upsample"]


def attach(name):
    unet = SD1UNet(in_channels=4, device="meta")
    key = f"lora_unet_{name}"
    tensors = {f"{key}.alpha": torch.tensor(1.0), f"{key}.lora_down.weight": torch.randn(4, 320), f"{key}.lora_up.weight": torch.randn(320, 4)}
    loras = Lora.from_dict("style", state_dict=tensors)
    places = []
    failed = auto_attach_loras(loras, unet, exclude=OTHERS, debug_map=places)
    return failed, [path for _, path in places], [lora.scale for lora in loras.values()]


BLOCK = "transformer_blocks_0_attn1"
first_query = attach(f"down_blocks_0_attentions_0_{BLOCK}_to_q")
first_value = attach(f"down_blocks_0_attentions_0_{BLOCK}_to_v")
last_query = attach(f"up_blocks_3_attentions_2_{BLOCK}_to_q")
for seen in (first_query, first_value, last_query):
    print(seen)
assert "DownBlocks" in first_query[1][0] and "SelfAttention.Distribute.Linear_1" in first_query[1][0], "to_q is attached elsewhere"
assert first_value == first_query and last_query == first_query, "the names matter now, or the strength does"
assert first_query[0] == [] and first_query[2] == [1.0], "the strength or what failed changed"
PYTHON
