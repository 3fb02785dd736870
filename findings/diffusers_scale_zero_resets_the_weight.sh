#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# diffusers 0.42.1, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# set_adapters("style", 0.7) sets the strength of an adapter for all calls to come, and cross_attention_kwargs={"scale": s} multiplies it for one
# call. For any s but zero the strength is put back after the call. A call with zero, to see the image without the adapter, puts back 1.0 instead,
# so all images after it are made with the adapter at full strength.
#
# Seen, strength of an adapter of alpha 8 and r 4: at weight 0.7 1.4; after a call with scale 0.5 1.4; after one with scale 0 2.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 diffusers==0.42.1 accelerate==1.15.0
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig

NAME = "pytorch_lora_weights.safetensors"


def make_model():
    torch.manual_seed(0)
    return UNet2DConditionModel(sample_size=8, block_out_channels=(32, 64), layers_per_block=1,
                                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                                cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8).eval()


def strengths(model):
    return {round(strength, 3) for module in model.modules() if hasattr(module, "scaling") for strength in module.scaling.values()}


model = make_model()
model.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v"]), adapter_name="style")
torch.manual_seed(1)
for key, parameter in model.named_parameters():
    if "lora_B" in key:
        torch.nn.init.normal_(parameter, std=0.2)
model.save_lora_adapter(os.environ["WORK"], adapter_name="style")
model = make_model()
model.load_lora_adapter(os.environ["WORK"], prefix=None, adapter_name="style", weight_name=NAME)
model.set_adapters("style", 0.7)
torch.manual_seed(2)
inputs = torch.randn(1, 4, 8, 8), 10, torch.randn(1, 5, 32)
with torch.no_grad():
    first = model(*inputs).sample
    begin = strengths(model)
    model(*inputs, cross_attention_kwargs={"scale": 0.5})
    half = strengths(model)
    model(*inputs, cross_attention_kwargs={"scale": 0.0})
    zero = strengths(model)
    change = ((model(*inputs).sample - first).norm() / first.norm()).item()
print(f"strengths: weight 0.7 {begin}, after scale 0.5 {half}, after scale 0 {zero}, outputs changed by {change:.3f}")
assert begin == half == {1.4}, "the strength does not last"
assert zero == {2.0} and change > 0.001, "a call with scale 0 leaves the strength alone now"
PYTHON
