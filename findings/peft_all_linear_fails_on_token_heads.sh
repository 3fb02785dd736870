#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# target_modules="all-linear" leaves the head of a classifier of sequences alone, so that it can be trained and saved in full. For classifiers of
# tokens and for question answering, whose heads PEFT adds to modules_to_save as well, it does not: the head becomes a LoRA layer first, and
# get_peft_model() then raises TypeError. Without a task_type it succeeds, with LoRA on the new head: the file holds the two factors but not the
# random weight under them, so the reloaded model, whose head is drawn again, gives other answers without a word.
#
# Seen: SEQ_CLS: saved head is classifier.weight and bias; TOKEN_CLS, QUESTION_ANS: TypeError; none: classifier.lora_A and lora_B, reloaded
# outputs off by 0.24.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from transformers import BertConfig, BertForQuestionAnswering, BertForSequenceClassification, BertForTokenClassification

IDS = torch.tensor([[1, 2, 3, 4, 5]])


def make_base(kind, head_seed=0):
    torch.manual_seed(0)
    base = kind(BertConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)).eval()
    torch.manual_seed(head_seed)
    head = base.qa_outputs if hasattr(base, "qa_outputs") else base.classifier
    torch.nn.init.normal_(head.weight, std=0.02)
    return base


def adapt(kind, task):
    return get_peft_model(make_base(kind), LoraConfig(task_type=task, target_modules="all-linear", init_lora_weights=False)).eval()


def head_keys(model):
    return sorted(key.split("model.", 2)[2] for key in get_peft_model_state_dict(model) if "classifier" in key)


sequences = head_keys(adapt(BertForSequenceClassification, "SEQ_CLS"))
print("SEQ_CLS:", sequences)
assert sequences == ["classifier.bias", "classifier.weight"], "the head of a classifier of sequences is treated otherwise"
for kind, task in ((BertForTokenClassification, "TOKEN_CLS"), (BertForQuestionAnswering, "QUESTION_ANS")):
    try:
        adapt(kind, task)
    except TypeError as error:
        print(task, "TypeError:", error)
    else:
        raise SystemExit(f"changed: all-linear works for {task}")

model = adapt(BertForTokenClassification, None)
keys = head_keys(model)
model.save_pretrained(os.environ["WORK"] + "/none")
again = PeftModel.from_pretrained(make_base(BertForTokenClassification, head_seed=1), os.environ["WORK"] + "/none").eval()
with torch.no_grad():
    expected = model(input_ids=IDS).logits
    off = ((again(input_ids=IDS).logits - expected).norm() / expected.norm()).item()
print(f"no task: {keys}, reloaded outputs off by {off:.2f}")
assert keys == ["classifier.lora_A.weight", "classifier.lora_B.weight"] and off > 0.01, "without a task the head is kept now"
PYTHON
