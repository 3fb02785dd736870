#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# PeftMixedModel puts layers of several methods around one another. merge_and_unload() merges them from the outside in, except for the outermost,
# which comes last. For two methods that is the order in which the live model applies them, so LoRA and OFT, which do not commute, merge
# rightly. A third adapter around them, even one that is not active, reverses the two, and the merged model is another function. Nothing is said.
#
# Seen, relative difference of merged and unmerged logits, LoRA and OFT active: these two 0.00, with an inactive LoHa around them 0.93; LoRA and LoHa
# with an inactive OFT around them 0.00.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoHaConfig, LoraConfig, OFTConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])
TARGETS = ["q_proj", "v_proj"]
CONFIGS = {"LoRA": LoraConfig(r=4, target_modules=TARGETS), "LoHa": LoHaConfig(r=4, target_modules=TARGETS),
           "OFT": OFTConfig(oft_block_size=4, target_modules=TARGETS)}


def difference(added, active):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()
    model = get_peft_model(base, CONFIGS[added[0]], adapter_name=added[0], mixed=True)
    for name in added[1:]:
        model.add_adapter(name, CONFIGS[name])
    model.set_adapter(active)
    model.eval()
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("lora_", "hada_", "oft_")):
            parameter.data += 0.3 * torch.randn_like(parameter)
    with torch.no_grad():
        before = model(input_ids=IDS).logits.clone()
        after = model.merge_and_unload()(input_ids=IDS).logits
    return ((after - before).norm() / before.norm()).item()


two = difference(["LoRA", "OFT"], ["LoRA", "OFT"])
three = difference(["LoRA", "OFT", "LoHa"], ["LoRA", "OFT"])
sums = difference(["LoRA", "LoHa", "OFT"], ["LoRA", "LoHa"])
print(f"LoRA and OFT: alone {two:.2f}, with LoHa around them {three:.2f}; LoRA and LoHa with OFT around them {sums:.2f}")
assert two < 1e-4 and sums < 1e-4, "what agreed no longer agrees"
assert three > 0.05, "a third adapter no longer changes the merge"
PYTHON
