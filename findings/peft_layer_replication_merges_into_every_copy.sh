#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# With layer_replication a model gets new layers that share the weights of old ones, each with LoRA factors of its own. merge_adapter() and
# merge_and_unload() add each copy's update to the one weight that the copies share, so every copy gets the updates of all of them, and the merged
# model is another function. Nothing is said; unmerging brings the old outputs back. The merged model cannot be saved either: save_pretrained()
# refuses the shared tensors.
#
# Seen, relative difference to the unmerged outputs: merged 0.28, unmerged 0.00, merged and unloaded 0.28; saving: RuntimeError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os
import warnings

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])


def differences(**settings):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], **settings)).eval()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)

    def logits(module):
        with torch.no_grad():
            return module(input_ids=IDS).logits.clone()

    expected = logits(model)
    seen = []
    for step in (model.merge_adapter, model.unmerge_adapter):
        step()
        seen.append(logits(model))
    merged = model.merge_and_unload()
    seen.append(logits(merged))
    return merged, [((value - expected).norm() / expected.norm()).item() for value in seen]


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    _, plain = differences()
    model, copied = differences(layer_replication=[(0, 2), (1, 2)])
print("two layers: {:.2f}, {:.2f}, {:.2f}; second layer twice: {:.2f}, {:.2f}, {:.2f}".format(*plain, *copied))
assert max(plain) < 1e-4 and copied[1] < 1e-4, "what agreed no longer agrees"
assert copied[0] > 0.01 and copied[2] > 0.01, "merging is right now"
assert not any("replication" in str(entry.message) for entry in caught), "merging warns now"
try:
    model.save_pretrained(os.path.join(os.environ["WORK"], "merged"))
except RuntimeError as error:
    print("saving:", type(error).__name__)
else:
    raise SystemExit("changed: the merged model can be saved")
PYTHON
