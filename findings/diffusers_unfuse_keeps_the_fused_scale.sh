#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# diffusers 0.42.1, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# fuse_lora(lora_scale=0.5) merges an adapter at half its strength; unfuse_lora() takes it out of the weights again, but leaves the half behind: the
# model does not answer as before, and each further pair of the two calls halves the strength once more. set_adapters() with a weight sets it
# right. The outputs while the adapter is fused the second time differ from the first, too.
#
# Seen, strength of an adapter of alpha 8 and r 4: before 2.0, after one pair 1.0, after two 0.5, after set_adapters(weight 1) 2.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 diffusers==0.42.1 accelerate==1.15.0
"$work/env/bin/python" - <<'PYTHON'
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig

torch.manual_seed(0)
unet = UNet2DConditionModel(sample_size=8, down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",),
                            block_out_channels=(8,), layers_per_block=1, cross_attention_dim=8, attention_head_dim=4, norm_num_groups=4).eval()
unet.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_v"]), adapter_name="style")
for name, parameter in unet.named_parameters():
    if "lora_" in name:
        torch.nn.init.normal_(parameter, std=0.3)
layer = next(module for name, module in unet.named_modules() if name.endswith("to_q"))
sample, text, time = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8), torch.tensor([1])


def answer():
    with torch.no_grad():
        return unet(sample, time, text).sample.clone()


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


before = answer()
strengths, fused = [layer.scaling["style"]], []
for _ in range(2):
    unet.fuse_lora(lora_scale=0.5)
    fused.append(answer())
    unet.unfuse_lora()
    strengths.append(layer.scaling["style"])
after = answer()
unet.set_adapters(["style"], [1.0])
strengths.append(layer.scaling["style"])
print("strength", strengths, f"off {distance(after, before):.2f}, second fusion off {distance(fused[1], fused[0]):.2f}")
assert strengths == [2.0, 1.0, 0.5, 2.0], "the strengths changed"
assert distance(after, before) > 0.05 and distance(fused[1], fused[0]) > 0.05, "the outputs are as before now"
assert distance(answer(), before) < 1e-4, "set_adapters() does not restore the outputs"
PYTHON
