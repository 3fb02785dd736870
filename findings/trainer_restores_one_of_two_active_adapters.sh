#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, torch 2.13.0, seen 2026-11-29.
#
# Two LoRA adapters trained at once (both active): Trainer's checkpoints hold both, but load_best_model_at_end brings only the first one back. The
# second keeps the weights of the last step, and the two were never together. Resuming such a run reads both, then leaves only the first
# active and trainable, and fails in the optimizer, whose state was for twice as many tensors.
#
# Seen, best checkpoint is step 2 of 4: first equals the checkpoint, second does not; resuming: ValueError, active adapters ["default"].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments


def make_trainer(**settings):
    torch.manual_seed(0)
    base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                        num_key_value_heads=2))
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    model.add_adapter("second", LoraConfig(r=4, target_modules=["v_proj"]))
    model.base_model.set_adapter(["default", "second"])
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(0, 64, (16, 8))]
    arguments = TrainingArguments(os.environ["WORK"] + "/run", max_steps=4, save_steps=2, eval_strategy="steps", eval_steps=2, learning_rate=0.01,
                                  per_device_train_batch_size=4, lr_scheduler_type="constant", use_cpu=True, report_to=[], disable_tqdm=True,
                                  **settings)
    return model, Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:4])


# With a loss that falls, the largest one is the first: so the "best" checkpoint is surely not the last.
model, trainer = make_trainer(load_best_model_at_end=True, metric_for_best_model="eval_loss", greater_is_better=True)
trainer.train()
best = trainer.state.best_model_checkpoint
assert best.endswith("checkpoint-2"), "the loss did not fall"
restored = {}
for name, folder in (("default", best), ("second", os.path.join(best, "second"))):
    live, saved = get_peft_model_state_dict(model, adapter_name=name), load_file(os.path.join(folder, "adapter_model.safetensors"))
    restored[name] = all(torch.equal(live[key], saved[key]) for key in saved)
print("restored:", restored)
assert restored == {"default": True, "second": False}, "what is restored changed"

model, trainer = make_trainer()
try:
    trainer.train(resume_from_checkpoint=best)
except ValueError as error:
    print("resuming:", error, "| active:", model.active_adapters)
else:
    raise SystemExit("changed: such a run can be resumed")
assert model.active_adapters == ["default"], "both adapters stay active"
PYTHON
