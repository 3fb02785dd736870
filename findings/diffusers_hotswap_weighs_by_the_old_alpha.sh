#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# diffusers 0.42.1, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# Hotswapping puts another file's factors into a loaded adapter and its alpha / r into the layers' strength. The weight that set_adapters() had
# given is lost without a word. Setting it again makes it worse: the layers still hold alpha and r of the first file, and set_adapters() computes
# the strength from those. An adapter of alpha 2 in the place of one of alpha 8, both r 4, acts four times too strong from then on.
#
# Seen, strengths: first file at weight 0.7 1.4; second hotswapped 0.5; set to 0.7 again 1.4; the second file loaded alone at 0.7 0.35.
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


def make_file(name, alpha):
    model = make_model()
    model.add_adapter(LoraConfig(r=4, lora_alpha=alpha, target_modules=["to_q", "to_v"]), adapter_name="style")
    model.save_lora_adapter(os.path.join(os.environ["WORK"], name), adapter_name="style")


def load(model, name, **settings):
    model.load_lora_adapter(os.path.join(os.environ["WORK"], name), prefix=None, adapter_name="style", weight_name=NAME, **settings)


make_file("first", 8)
make_file("second", 2)
model = make_model()
load(model, "first")
model.set_adapters("style", 0.7)
before = strengths(model)
load(model, "second", hotswap=True)
swapped = strengths(model)
model.set_adapters("style", 0.7)
weighted = strengths(model)
other = make_model()
load(other, "second")
other.set_adapters("style", 0.7)
right = strengths(other)
print(f"first at weight 0.7 {before}, second hotswapped {swapped}, set to 0.7 again {weighted}; second loaded alone at 0.7 {right}")
assert before == {1.4} and right == {0.35}, "the weights act otherwise"
assert swapped == {0.5} and weighted == {1.4}, "hotswapping keeps weights or takes the new alpha now"
PYTHON
