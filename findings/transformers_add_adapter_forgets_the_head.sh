#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# get_peft_model() with task_type="SEQ_CLS" trains and saves the new classification head beside the adapter. model.add_adapter() with the same
# config takes no notice of the task type: the head, random for a new task, is frozen, the adapter is trained to suit it, and save_pretrained() does
# not write it. The loaded model has another random head under an adapter trained for the old one. Nothing is said while training or saving.
#
# Seen: get_peft_model: head trained and saved, reloaded outputs off by 0.00; add_adapter: neither, off by 1.29.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

folder = os.environ["WORK"]
base = os.path.join(folder, "base")
torch.manual_seed(0)
BertModel(BertConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4)).save_pretrained(base)
batch = torch.arange(10).view(1, 10)


def load(place, seed):
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(place, num_labels=3)


def distance(some, other):
    return ((some - other).norm() / other.norm()).item()


for add_adapter in (False, True):
    model = load(base, 1)
    config = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"])
    if add_adapter:
        model.add_adapter(config)
    else:
        model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad and "classifier" in name]
    place = os.path.join(folder, f"adapter{add_adapter}")
    model.save_pretrained(place)
    saved = [name for name in load_file(os.path.join(place, "adapter_model.safetensors")) if "classifier" in name]
    with torch.no_grad():
        outputs = model.eval()(batch).logits
        reloaded = distance(load(place, 2).eval()(batch).logits, outputs)
    print("add_adapter" if add_adapter else "get_peft_model", "trained", trained, "saved", saved, "reloaded outputs off by {:.2f}".format(reloaded))
    assert bool(trained) == bool(saved) == (not add_adapter), "the head is treated otherwise now"
PYTHON
