#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# hotswap_adapter() compares the two configs before it replaces the weights, but not how they were started. A PiSSA or OLoRA adapter, whose factors
# belong to a base with the principal part taken out, is swapped into a model with a plain LoRA adapter without a word, and the outputs are wrong
# by much of what the adapter does; a plain one swapped into a model started by PiSSA likewise, for there the base stays reduced. Loading the same
# folders with from_pretrained() is right.
#
# Seen, relative error of logits (the adapter's whole effect): PiSSA into plain 0.34 (0.44), OLoRA into plain 0.22 (0.57), plain into PiSSA 0.46,
# plain into OLoRA 0.39; from_pretrained 0.00 in all.
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
from peft.utils.hotswap import hotswap_adapter
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()


def make_adapted(start):
    return get_peft_model(make_base(), LoraConfig(r=8, init_lora_weights=start, target_modules=["q_proj", "v_proj", "down_proj"]))


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits.clone()


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


def trained(start):
    model = make_adapted(start)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    folder = os.path.join(os.environ["WORK"], str(start))
    model.save_pretrained(folder)
    expected = logits(model)
    assert distance(logits(PeftModel.from_pretrained(make_base(), folder).eval()), expected) < 1e-4, "from_pretrained() is wrong, too"
    return folder, expected


def swapped(source, target):
    folder, expected = trained(source)
    model = make_adapted(target)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        hotswap_adapter(model, folder, "default")
    assert not [entry for entry in caught if "weights" in str(entry.message)], "hotswap_adapter() warns now"
    return distance(logits(model), expected)


for source, target in (("pissa", True), ("olora", True), (True, "pissa"), (True, "olora")):
    error = swapped(source, target)
    print(f"{source} into {target}: {error:.2f}")
    assert error > 0.1, "the swapped adapter is right now"
assert swapped(True, True) < 1e-4 and swapped("pissa", "pissa") < 1e-4, "a swap between equal starts is wrong"
PYTHON
