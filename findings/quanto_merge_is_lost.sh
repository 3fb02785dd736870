#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# optimum-quanto 0.2.7, peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# PEFT takes the linear layers of a base quantized and frozen by quanto for ordinary ones. LoRA on them trains and answers as it should, but merging
# adds the update to a dequantized copy that is thrown away: the merged model, and what merge_and_unload() returns, is the bare quantized base.
# Nothing is said.
#
# Seen, relative difference: adapter to base 1.5, merged to base 0.0, unloaded to base 0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 optimum-quanto==0.2.7
"$work/env/bin/python" - <<'PYTHON'
import warnings

import torch
from optimum.quanto import freeze, qint8, quantize
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])
torch.manual_seed(0)
base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                    num_key_value_heads=2)).eval()
quantize(base, weights=qint8)
freeze(base)


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits.clone()


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


bare = logits(base)
model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"])).eval()
for name, parameter in model.named_parameters():
    if "lora_" in name:
        torch.nn.init.normal_(parameter, std=0.3)
adapter = distance(logits(model), bare)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.merge_adapter(safe_merge=False)
    merged = distance(logits(model), bare)
    model.unmerge_adapter()
    unloaded = distance(logits(model.merge_and_unload()), bare)
print(f"adapter {adapter:.1f}, merged {merged:.1f}, unloaded {unloaded:.1f}")
assert adapter > 0.1 and merged < 1e-5 and unloaded < 1e-5, "merging into quanto's layers changed"
assert not any("quant" in str(entry.message).lower() for entry in caught), "merging warns now"
PYTHON
