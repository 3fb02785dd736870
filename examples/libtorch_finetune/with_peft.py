# SPDX-License-Identifier: Apache-2.0
"""Shares adapters between the C++ program and PEFT, both ways.

    with_peft.py FINETUNE FOLDER

Loads the adapter that `FINETUNE train TEXT FOLDER` saved, compares the answers, trains another one with PEFT and has
`FINETUNE load` load it.
"""

import os
import subprocess
import sys

import torch
from model import CONTEXT, LanguageModel, encode
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

finetune, folder = sys.argv[1:]
prompt = encode("the smith looks through the ring").unsqueeze(0)


def base():
    model = LanguageModel()
    model.load_state_dict(load_file(os.path.join(folder, "base.safetensors")))
    return model


def difference(model):
    with torch.no_grad():
        return (model(prompt) - load_file(os.path.join(folder, "logits.safetensors"))["logits"]).abs().max().item()


model = PeftModel.from_pretrained(base(), os.path.join(folder, "adapter"))
from_cpp = difference(model.base_model.model)
print(f"trained in C++, loaded by PEFT: the logits differ by {from_cpp:.2g} at most")

torch.manual_seed(2)
model = get_peft_model(base(), LoraConfig(r=4, target_modules=["q_proj", "k_proj", "head"], use_dora=True))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "text.txt"), encoding="utf-8") as file:
    text = encode(file.read())
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
for _ in range(20):
    starts = torch.randint(len(text) - CONTEXT - 1, (16,))
    batch = torch.stack([text[start:start + CONTEXT + 1] for start in starts])
    loss = torch.nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
model.eval()
model.save_pretrained(os.path.join(folder, "from_peft"))
subprocess.run([finetune, "load", os.path.join(folder, "from_peft"), folder], check=True)
from_peft = difference(model)
print(f"trained by PEFT, loaded in C++: the logits differ by {from_peft:.2g} at most")
sys.exit(0 if max(from_cpp, from_peft) <= 1e-6 else 1)
