#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# An adapter started with PiSSA or OLoRA answers as the base before it is trained. A second one, added to the same model, does not: each takes
# its own principal part out of the weight that both share, so with one of them active the other's part is missing. The first adapter's outputs
# change as well, and the second, saved and loaded alone on a fresh base, is yet another function: its start is computed from the untouched
# weight then. add_adapter() says nothing of it; load_adapter() warns.
#
# Seen, relative difference of logits, PiSSA / OLoRA: first, new, to the base 0.00 / 0.00; second, new, to the base 0.50 / 0.32; first before
# and after the second was added 0.18 / 0.19; second in the model and loaded alone 0.22 / 0.23.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits.clone()


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


for start in ("pissa", "olora"):
    config = {"r": 8, "init_lora_weights": start, "target_modules": ["q_proj", "v_proj", "down_proj"]}
    base = logits(make_base())
    model = get_peft_model(make_base(), LoraConfig(**config))
    first_new = distance(logits(model), base)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    before = logits(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.add_adapter("second", LoraConfig(**config))
    first_changed = distance(logits(model), before)
    model.set_adapter("second")
    second_new = distance(logits(model), base)
    folder = os.path.join(os.environ["WORK"], start)
    model.save_pretrained(folder)
    alone = PeftModel.from_pretrained(make_base(), os.path.join(folder, "second")).eval()
    second_alone = distance(logits(alone), logits(model))
    print(f"{start}: first new {first_new:.2f}, second new {second_new:.2f}, first changed {first_changed:.2f}, second alone {second_alone:.2f}")
    assert first_new < 1e-4, "the first adapter no longer starts as the base"
    assert second_new > 0.1 and first_changed > 0.05 and second_alone > 0.05, "a second adapter no longer disturbs the first"
    assert not any("base weights" in str(entry.message) for entry in caught), "add_adapter() warns now"
PYTHON
