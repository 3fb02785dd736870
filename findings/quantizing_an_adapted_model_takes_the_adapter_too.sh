#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# torchao 0.18.0, optimum-quanto 0.2.7, peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# Quantizing a model after LoRA was put on it, the usual order reversed, also quantizes the LoRA factors, for they are linear layers as well.
# What can be saved then depends on the tool. After torchao's quantize_() save_pretrained() fails and leaves a folder with a card alone. After
# quanto's quantize() and freeze() it writes an adapter whose factors are int8 data beside scales; PeftModel.from_pretrained() loads that file with
# nothing more than a warning of missing keys, and the model answers as the base: the trained factors are gone.
#
# Seen: torchao: RuntimeError, folder ["README.md"]; quanto: keys end in weight._data (int8) and weight._scale, reloaded minus base 0.00, trained
# minus base 1.51.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2 torchao==0.18.0 optimum-quanto==0.2.7
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os
import warnings

import torch
from optimum.quanto import freeze, qint8, quantize
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torchao.quantization import Int8WeightOnlyConfig, quantize_
from transformers import LlamaConfig, LlamaForCausalLM

IDS = torch.tensor([[1, 2, 3, 4, 5]])


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2)).eval()


def make_adapted():
    model = get_peft_model(make_base(), LoraConfig(r=4, target_modules=["q_proj", "v_proj"])).eval()
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits.clone()


def distance(a, b):
    return ((a - b).norm() / b.norm()).item()


model = make_adapted()
quantize_(model, Int8WeightOnlyConfig())
folder = os.path.join(os.environ["WORK"], "torchao")
try:
    model.save_pretrained(folder)
except RuntimeError as error:
    print("torchao:", error, os.listdir(folder))
else:
    raise SystemExit("changed: an adapter quantized by torchao can be saved")
assert os.listdir(folder) == ["README.md"], "something else is left behind"

model = make_adapted()
quantize(model, weights=qint8)
freeze(model)
bare = logits(make_base())
trained = distance(logits(model), bare)
folder = os.path.join(os.environ["WORK"], "quanto")
model.save_pretrained(folder)
tensors = load_file(os.path.join(folder, "adapter_model.safetensors"))
data = [name for name in tensors if name.endswith("weight._data") and tensors[name].dtype == torch.int8]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    reloaded = distance(logits(PeftModel.from_pretrained(make_base(), folder).eval()), bare)
assert any("missing adapter keys" in str(entry.message) for entry in caught), "the warning changed"
print(f"quanto: {len(data)} factors in int8, trained {trained:.2f}, reloaded {reloaded:.2f}")
assert len(data) == 8 and not any(name.endswith("lora_A.weight") for name in tensors), "the factors are saved otherwise"
assert trained > 0.1 and reloaded < 1e-5, "the reloaded adapter acts now"
PYTHON
