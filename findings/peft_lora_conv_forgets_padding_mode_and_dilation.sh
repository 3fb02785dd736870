#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# LoRA on a convolution builds lora_A with the base layer's kernel, stride and padding, but without its dilation and padding_mode. While it
# trains, the adapter pads with zeros where the base pads in circles (tileable textures, panoramas), and looks at neighbors where a dilated base
# looks further away. Merged into the base weight the same numbers are padded and spread as the base does, so merged and unmerged outputs differ.
# With padding="same" nothing is said; with a number as padding the dilated layer cannot run, for the two branches have different sizes. LoHa
# keeps the dilation but not the padding mode.
#
# Seen, relative difference of merged and unmerged outputs: LoRA plain 0.00, circular 0.44, dilated 1.19; LoHa plain 0.00, circular 0.27,
# dilated 0.00; LoRA dilated with padding=2: RuntimeError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoHaConfig, LoraConfig, get_peft_model


def difference(config, **layer):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, **layer))
    model = get_peft_model(base, config(r=4, target_modules=["0"])).eval()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        before = model(x)
        model.merge_adapter()
        return ((model(x) - before).norm() / before.norm()).item()


LAYERS = {"plain": {}, "circular": {"padding_mode": "circular"}, "dilated": {"dilation": 2}}
lora, loha = ({name: difference(config, padding="same", **layer) for name, layer in LAYERS.items()} for config in (LoraConfig, LoHaConfig))
for name, seen in (("LoRA", lora), ("LoHa", loha)):
    print(name, ", ".join(f"{layer} {value:.2f}" for layer, value in seen.items()))
assert lora["plain"] < 1e-4 and loha["plain"] < 1e-4 and loha["dilated"] < 1e-4, "what agreed no longer agrees"
assert lora["circular"] > 0.1 and lora["dilated"] > 0.1, "LoRA now follows the padding mode or the dilation"
assert loha["circular"] > 0.1, "LoHa now follows the padding mode"
try:
    difference(LoraConfig, padding=2, dilation=2)
except RuntimeError as error:
    print("LoRA, dilation=2, padding=2:", type(error).__name__)
else:
    raise SystemExit("changed: LoRA on a dilated convolution runs")
PYTHON
