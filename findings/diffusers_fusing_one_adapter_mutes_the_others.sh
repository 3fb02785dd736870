#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# diffusers 0.42.1, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# With two adapters active, fuse_lora(adapter_names=["style"]) merges the one and silences the other: a layer with anything merged skips everything
# that is not. active_adapters() still names both. After unfuse_lora() both act again. On layers that only the other adapter has, it goes on acting,
# so with different targets the result is neither of the two and not their sum.
#
# Seen, relative difference while "style" is fused: same targets: to style alone 0.00, to both 0.62; other targets: to style alone 1.07, to
# both 1.08.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 diffusers==0.42.1 accelerate==1.15.0
"$work/env/bin/python" - <<'PYTHON'
import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig


def differences(targets):
    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=8, down_block_types=("CrossAttnDownBlock2D",), up_block_types=("CrossAttnUpBlock2D",),
                                block_out_channels=(8,), layers_per_block=1, cross_attention_dim=8, attention_head_dim=4,
                                norm_num_groups=4).eval()
    unet.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"]), adapter_name="style")
    unet.add_adapter(LoraConfig(r=4, target_modules=targets), adapter_name="subject")
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    sample, text, time = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8), torch.tensor([1])

    def answer():
        with torch.no_grad():
            return unet(sample, time, text).sample.clone()

    def distance(a, b):
        return ((a - b).norm() / b.norm()).item()

    unet.set_adapters(["style"], [1.0])
    style = answer()
    unet.set_adapters(["style", "subject"], [1.0, 1.0])
    both = answer()
    unet.fuse_lora(adapter_names=["style"])
    assert unet.active_adapters() == ["style", "subject"], "active_adapters() changed"
    fused = answer()
    unet.unfuse_lora()
    assert distance(answer(), both) < 1e-4, "unfusing does not bring both back"
    return distance(fused, style), distance(fused, both)


same = differences(["to_q", "to_v"])
other = differences(["to_v", "to_out.0"])
print("same targets: to style {:.2f}, to both {:.2f}; other targets: to style {:.2f}, to both {:.2f}".format(*same, *other))
assert same[0] < 1e-4 and same[1] > 0.05, "the other adapter is no longer silent on shared layers"
assert min(other) > 0.05, "with other targets the result is one of the two now"
PYTHON
