#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# trl 1.16.0, transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, datasets 5.2.0, torch 2.13.0, seen 2026-11-29.
#
# DPOTrainer that is given a base and a peft_config trains one adapter and saves one. Given a PeftModel, as after a first round of fine-tuning,
# it puts a frozen copy of the adapter beside it, called "ref", to compare with. The copy stays: every checkpoint and save_model() write it into
# ref/, as large as the adapter itself, so what is published holds two adapters, and the second is the one from before.
#
# Seen: peft_config: adapters ["default"], no ref/; PeftModel: ["default", "ref"], ref/ equals the adapter that training began with.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 datasets==5.2.0 \
  trl==1.16.0
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

words = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{f"w{index}": index + 3 for index in range(40)}}
plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
rows = Dataset.from_list([{"prompt": f"w{index} w{index + 1}", "chosen": " w3 w4", "rejected": " w5 w6"} for index in range(8)])
config = LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")


def train(name, model, **settings):
    folder = os.path.join(os.environ["WORK"], name)
    trainer = DPOTrainer(model=model, args=DPOConfig(folder, max_steps=2, save_steps=2, per_device_train_batch_size=2, learning_rate=0.1, bf16=False,
                                                     use_cpu=True, report_to=[], disable_tqdm=True),
                         train_dataset=rows, processing_class=tokenizer, **settings)
    trainer.train()
    trainer.save_model(folder)
    return list(trainer.model.peft_config), folder


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                        num_key_value_heads=2))


names, folder = train("config", make_base(), peft_config=config)
print("peft_config:", names, sorted(os.listdir(folder)))
assert names == ["default"] and not os.path.exists(os.path.join(folder, "ref")), "a peft_config leaves a reference, too"

model = get_peft_model(make_base(), config)
for parameter in model.parameters():
    if parameter.requires_grad:
        torch.nn.init.normal_(parameter, std=0.1)
start = {key: tensor.clone() for key, tensor in get_peft_model_state_dict(model).items()}
names, folder = train("model", model)
print("PeftModel:", names, sorted(os.listdir(folder)))
assert names == ["default", "ref"], "there is no reference now"
for place in (folder, os.path.join(folder, "checkpoint-2")):
    trained = load_file(os.path.join(place, "adapter_model.safetensors"))
    reference = load_file(os.path.join(place, "ref", "adapter_model.safetensors"))
    assert all(torch.equal(reference[key], start[key]) for key in start), "the reference is not the start"
    assert not all(torch.equal(trained[key], start[key]) for key in start), "nothing was trained"
PYTHON
