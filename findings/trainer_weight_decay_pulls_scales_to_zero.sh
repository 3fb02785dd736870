#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, torch 2.13.0, seen 2026-11-29.
#
# weight_decay of Trainer leaves biases and norms alone and pulls everything else to zero. That is right for LoRA's factors, for which zero means
# no change. It also pulls IA3's vectors and DoRA's magnitudes, for which zero switches the layer off (an IA3 vector that changes nothing is one), and
# the rows of trainable_token_indices, which hold the tokens' whole embeddings and shrink at every step, also if the token is not in the batch.
#
# Seen, parameters after 10 steps at learning rate 0.1 and weight decay 0.5 over those before, for tokens and layers without a gradient: IA3 0.60,
# magnitude 0.60, token rows 0.60, norm of modules_to_save 1.00. (1 - 0.05) to the tenth is 0.60.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments


def shrinkage(config, part):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                        num_key_value_heads=2, tie_word_embeddings=False))
    model = get_peft_model(base, config)
    trainer = Trainer(model, TrainingArguments(os.environ["WORK"], learning_rate=0.1, weight_decay=0.5, use_cpu=True, report_to=[]))
    trainer.create_optimizer()
    parameter = next(value for name, value in model.named_parameters() if part in name and value.requires_grad)
    before = parameter.detach().clone()
    for _ in range(10):
        for other in model.parameters():
            other.grad = torch.zeros_like(other) if other.requires_grad else None
        trainer.optimizer.step()
    return (parameter.norm() / before.norm()).item()


LORA = {"r": 4, "target_modules": ["q_proj"]}
seen = {
    "IA3": shrinkage(IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]), "ia3_l"),
    "magnitude": shrinkage(LoraConfig(use_dora=True, **LORA), "magnitude"),
    "token rows": shrinkage(LoraConfig(trainable_token_indices=[1, 2], **LORA), "trainable_tokens"),
    "norm": shrinkage(LoraConfig(modules_to_save=["norm"], **LORA), "norm.modules_to_save"),
}
print(", ".join(f"{name} {value:.2f}" for name, value in seen.items()))
for name in ("IA3", "magnitude", "token rows"):
    assert abs(seen[name] - 0.95**10) < 1e-3, f"the decay of {name} changed"
assert seen["norm"] == 1, "the norm decays, too"
PYTHON
