#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# An Arrow model routes each token to the best of several loaded adapters. With use_gks=True it first subtracts what general adapters have in common
# with them, and does so in the adapters themselves, at the first forward pass: afterwards a task adapter that is activated alone answers otherwise
# than before, and save_pretrained() writes the changed factors under its old name and config, so loading it later gives the changed one. The
# subtraction is done in A and B apart, so what is left is not the difference of the two updates. Nothing is said.
#
# Seen, difference of the task adapter alone to what it was, before / after / saved and loaded: without the subtraction 0.00 / 0.00 / 0.00, with it
# 0.00 / 1.05 / 1.05; the adapter's whole effect is 1.20.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import ArrowConfig, LoraConfig, PeftModel, create_arrow_model, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()


def folder(name):
    return os.path.join(os.environ["WORK"], name)


def distance(some, other):
    return ((some - other).norm() / other.norm()).item()


batch = torch.arange(20).view(2, 10)
for seed, name in enumerate(["first", "second", "general"]):
    model = get_peft_model(make_base(), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]))
    torch.manual_seed(seed + 1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder(name))
with torch.no_grad():
    plain = make_base()(batch).logits
    alone = PeftModel.from_pretrained(make_base(), folder("first")).eval()(batch).logits
    for subtract in (False, True):
        model = create_arrow_model(base_model=make_base(), task_specific_adapter_paths=[folder("first"), folder("second")],
                                   general_adapter_paths=[folder("general")] if subtract else [],
                                   arrow_config=ArrowConfig(top_k=1, use_gks=subtract)).eval()
        model.set_adapter("task_0")
        before = distance(model(batch).logits, alone)
        model.set_adapter("arrow_router")
        model(batch)
        model.set_adapter("task_0")
        after = distance(model(batch).logits, alone)
        model.save_pretrained(folder("saved"))
        saved = distance(PeftModel.from_pretrained(make_base(), os.path.join(folder("saved"), "task_0")).eval()(batch).logits, alone)
        print("use_gks={}: before {:.2f}, after {:.2f}, saved and loaded {:.2f}; the adapter's effect {:.2f}".format(
            subtract, before, after, saved, distance(plain, alone)))
        assert before < 1e-5, "the adapter differs before the router runs"
        assert (min(after, saved) > 0.05) == subtract and (max(after, saved) > 1e-5) == subtract, "the router leaves its experts alone"
PYTHON
