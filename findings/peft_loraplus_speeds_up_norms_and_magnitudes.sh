#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# create_loraplus_optimizer() gives lora_B a learning rate loraplus_lr_ratio times that of lora_A. The fast group takes every trainable vector as
# well: DoRA's magnitudes, RMS norms and biases trained through modules_to_save. Llama's norms also get weight decay there: the group without decay
# knows LayerNorm alone. Factors of an embedding, B too, are in a group of their own, at 1e-6 unless loraplus_lr_embedding is given; an
# embedding or a head trained through modules_to_save is not in it, and trains at the base rate.
#
# Seen, at lr 1e-4, ratio 16, decay 0.01: lora_A 1e-4; lora_B 1.6e-3; magnitude 1.6e-3; RMS norm 1.6e-3 with decay; lora_embedding_A and B 1e-6;
# lm_head in full 1e-4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from transformers import LlamaConfig, LlamaForCausalLM

base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                    num_key_value_heads=2))
model = get_peft_model(base, LoraConfig(r=4, use_dora=True, target_modules=["q_proj", "embed_tokens"], modules_to_save=["lm_head", "norm"]))
optimizer = create_loraplus_optimizer(model, torch.optim.AdamW, lr=1e-4, loraplus_lr_ratio=16, loraplus_weight_decay=0.01)
names = {id(parameter): name for name, parameter in model.named_parameters()}
groups = {names[id(parameter)]: (round(group["lr"], 9), group["weight_decay"]) for group in optimizer.param_groups for parameter in group["params"]}
expected = {"q_proj.lora_A": (1e-4, 0.01), "q_proj.lora_B": (1.6e-3, 0.01), "q_proj.lora_magnitude_vector": (1.6e-3, 0.01),
            "model.norm.modules_to_save": (1.6e-3, 0.01), "lora_embedding_A": (1e-6, 0.01), "lora_embedding_B": (1e-6, 0.01),
            "lm_head.modules_to_save": (1e-4, 0.01)}
for part, wanted in expected.items():
    seen = {value for name, value in groups.items() if part in name}
    print(part, seen)
    assert seen == {wanted}, f"the group of {part} changed"
PYTHON
