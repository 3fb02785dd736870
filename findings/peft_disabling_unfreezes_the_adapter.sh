#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# PeftModel.from_pretrained() loads an adapter frozen. After one `with model.disable_adapter():`, to see what the base answers, say, every factor of
# the active adapters is trainable, and so is what modules_to_save replaced. A frozen adapter under a new one, frozen by set_requires_grad(), is
# unfrozen in the same way, so a trainer made after a measurement of the base trains both, and spoils the one that was to stay.
#
# Seen: loaded 0 trainable tensors, after disable_adapter() 4; of 4 tensors of the frozen adapter, changed by training after a measurement: 4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                        num_key_value_heads=2))


def trainable(model):
    return sum(parameter.requires_grad for parameter in model.parameters())


batch = torch.arange(8).view(1, 8)
config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
folder = os.path.join(os.environ["WORK"], "style")
get_peft_model(make_base(), config).save_pretrained(folder)

model = PeftModel.from_pretrained(make_base(), folder)
loaded = trainable(model)
with model.disable_adapter():
    model(batch)
measured = trainable(model)
print("loaded for inference:", loaded, "trainable tensors; after disable_adapter():", measured)
assert loaded == 0 and measured == 4, "the adapter stays frozen now"

model = PeftModel.from_pretrained(make_base(), folder, adapter_name="style")
model.add_adapter("task", config)
model.base_model.set_adapter(["style", "task"])
model.set_requires_grad("style", False)
frozen = trainable(model)
with model.disable_adapter():
    model(batch)
style = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if ".style." in name}
optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.01)
for _ in range(3):
    optimizer.zero_grad()
    model(input_ids=batch, labels=batch).loss.backward()
    optimizer.step()
moved = sum(not torch.equal(parameter, style[name]) for name, parameter in model.named_parameters() if name in style)
print("style frozen under task:", frozen, "trainable tensors; style tensors changed by training after a measurement:", moved, "of", len(style))
assert frozen == 4 and moved == len(style) == 4, "the frozen adapter stays as it was now"
PYTHON
