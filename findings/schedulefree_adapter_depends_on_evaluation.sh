#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# schedulefree 1.4.1, transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, torch 2.13.0, seen 2026-11-29.
#
# A schedule-free optimizer keeps two sets of weights, one to train and one to use, and swaps them in place when it is told to. Trainer tells it to
# only around an evaluation, not around a save: with optim="schedule_free_adamw" the same run writes the weights to use where an evaluation came just
# before the checkpoint, and the weights to train where none did. Same data, same seed, same steps, two different adapters. save_model() after
# train() has the same trouble; one evaluate() before it cures it.
#
# Seen: checkpoints of step 6 with and without eval_strategy="steps" differ by 0.02 (relative); the one without equals that of the other after
# evaluate(). With adamw_torch they are equal.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 schedulefree==1.4.1
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments


def flat(folder):
    tensors = load_file(os.path.join(folder, "adapter_model.safetensors"))
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def run(optimizer, evaluate):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2))
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(0, 64, (16, 8))]
    folder = os.path.join(os.environ["WORK"], f"{optimizer}-{evaluate}")
    trainer = Trainer(model, TrainingArguments(folder, optim=optimizer, max_steps=6, save_steps=6, eval_steps=6, learning_rate=1e-2,
                                               per_device_train_batch_size=4, lr_scheduler_type="constant", use_cpu=True, report_to=[],
                                               eval_strategy="steps" if evaluate else "no", disable_tqdm=True),
                      train_dataset=rows, eval_dataset=rows[:4])
    trainer.train()
    saved = flat(os.path.join(folder, "checkpoint-6"))
    trainer.evaluate()
    trainer.save_model(folder)
    return saved, flat(folder)


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


with_eval, with_eval_later = run("schedule_free_adamw", True)
without, without_later = run("schedule_free_adamw", False)
print(f"schedule_free_adamw: with and without {distance(without, with_eval):.3f}, after evaluate() {distance(without_later, with_eval):.1e}")
assert distance(without, with_eval) > 1e-3, "the checkpoints are equal now"
assert distance(without_later, with_eval) < 1e-4 and distance(with_eval_later, with_eval) < 1e-4, "evaluate() does not cure it"
adamw = distance(run("adamw_torch", False)[0], run("adamw_torch", True)[0])
print(f"adamw_torch: {adamw:.1e}")
assert adamw < 1e-5, "the two runs differ for another reason"
PYTHON
