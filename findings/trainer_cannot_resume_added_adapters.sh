#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, datasets 5.2.0, torch 2.13.0, seen 2026-11-29.
#
# Trainer trains a model whose adapter was put in with model.add_adapter() and writes checkpoints with the adapter and the optimizer in them. It
# cannot read them: resuming raises ValueError, for want of the weights of a whole model, and load_best_model_at_end raises FileNotFoundError after
# the last step, when all the training is done. With get_peft_model() both work.
#
# Seen: get_peft_model: resumed to step 6, best is checkpoint-2; add_adapter: ValueError, FileNotFoundError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 datasets==5.2.0
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

rows = Dataset.from_list([{"input_ids": list(range(first, first + 8)), "labels": list(range(first, first + 8))} for first in range(32)])


def make_trainer(add_adapter, name, **settings):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                         num_key_value_heads=2))
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    if add_adapter:
        model.add_adapter(config)
    else:
        model = get_peft_model(model, config)
    folder = os.path.join(os.environ["WORK"], f"{name}{add_adapter}")
    arguments = TrainingArguments(folder, max_steps=6, save_steps=2, per_device_train_batch_size=4, learning_rate=0.01, use_cpu=True, report_to=[],
                                  disable_tqdm=True, logging_steps=100, **settings)
    return Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows)


def attempt(action):
    try:
        return str(action())
    except (ValueError, FileNotFoundError) as error:
        return type(error).__name__


def resume(add_adapter):
    make_trainer(add_adapter, "plain").train()
    trainer = make_trainer(add_adapter, "plain")
    trainer.train(resume_from_checkpoint=os.path.join(trainer.args.output_dir, "checkpoint-4"))
    return trainer.state.global_step


def find_best(add_adapter):
    trainer = make_trainer(add_adapter, "best", eval_strategy="steps", eval_steps=2, load_best_model_at_end=True, metric_for_best_model="eval_loss",
                           greater_is_better=True)
    trainer.train()
    return os.path.basename(trainer.state.best_model_checkpoint)


seen = {}
for add_adapter in (False, True):
    seen[add_adapter] = attempt(lambda: resume(add_adapter)), attempt(lambda: find_best(add_adapter))
    print("add_adapter" if add_adapter else "get_peft_model", "resuming:", seen[add_adapter][0], "best:", seen[add_adapter][1])
assert seen[False] == ("6", "checkpoint-2"), "get_peft_model fails, too"
assert seen[True] == ("ValueError", "FileNotFoundError"), "checkpoints of added adapters are read otherwise now"
PYTHON
