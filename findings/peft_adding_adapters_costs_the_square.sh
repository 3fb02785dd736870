#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# Adding one more LoRA adapter to a model walks over all that are there, on every layer: each call switches the gradients of every factor of every
# adapter off or on. Counted, not timed: the calls of requires_grad_() for one adapter more grow with the number of adapters, so a server that
# adds N of them one after the other makes a number that grows with N squared. Switching between two adapters touches all of them, too, and
# saving one copies out the whole model's state dict first.
#
# Seen, calls of requires_grad_() with 4 adapted layers: adding 10 adapters 1040, 20 adapters 3680, 40 adapters 13760; switching once among 40
# 328; detached tensors in saving one of 40: 349.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
from unittest import mock

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import LlamaConfig, LlamaForCausalLM

SETTINGS = {"r": 2, "target_modules": ["q_proj", "v_proj"]}


def count(name, action):
    original, calls = getattr(torch.Tensor, name), []

    def counted(self, *arguments, **settings):
        calls.append(1)
        return original(self, *arguments, **settings)

    with mock.patch.object(torch.Tensor, name, counted):
        action()
    return len(calls)


def adapters(number):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2))
    model = get_peft_model(base, LoraConfig(**SETTINGS))

    def add():
        for index in range(number):
            model.add_adapter(f"task{index}", LoraConfig(**SETTINGS))

    adding = count("requires_grad_", add)
    switching = count("requires_grad_", lambda: model.set_adapter("task0"))
    saving = count("detach", lambda: get_peft_model_state_dict(model, adapter_name="task0"))
    return adding, switching, saving


seen = {number: adapters(number) for number in (10, 20, 40)}
print(", ".join(f"{number} adapters: adding {a}, switching {b}, saving one {c}" for number, (a, b, c) in seen.items()))
for small, large in ((10, 20), (20, 40)):
    assert seen[large][0] > 3.4 * seen[small][0], "adding no longer costs the square"
    assert 1.8 < seen[large][1] / seen[small][1] < 2.1, "switching no longer touches every adapter"
assert seen[40][2] > seen[20][2] > seen[10][2], "saving one adapter no longer touches the others"
PYTHON
