#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, torch 2.13.0, seen 2026-11-30.
#
# model.load_adapter(FOLDER) of transformers reads a DoRA that PEFT saved without its magnitudes: it looks for them under another name, and the model
# keeps those of its own start (the norms of the base). The log lists the tensors as unexpected and as missing; nothing is raised, and the adapter is
# active. PeftModel.from_pretrained() reads the same folder right, and LoRA without DoRA is right in both. diffusers loads text encoders this way.
#
# Seen, error relative to the effect of the adapter: LoRA 0.00 in both; DoRA 0.00 in PEFT, 0.27 in transformers.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM


def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                                        num_key_value_heads=2)).eval()


def answer(model):
    with torch.no_grad():
        return model(torch.tensor([[1, 5, 7]])).logits


def errors(dora):
    plain = answer(model())
    trained = get_peft_model(model(), LoraConfig(r=4, target_modules=["q_proj", "up_proj"], use_dora=dora)).eval()
    for name, parameter in trained.named_parameters():
        if "lora_magnitude" in name:
            parameter.data *= 1.5
        elif "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    wanted = answer(trained)
    with tempfile.TemporaryDirectory() as folder:
        trained.save_pretrained(folder)
        by_peft = answer(PeftModel.from_pretrained(model(), folder).eval())
        loaded = model()
        loaded.load_adapter(folder)
    return [((got - wanted).norm() / (wanted - plain).norm()).item() for got in (by_peft, answer(loaded))]


lora, dora = errors(False), errors(True)
print(f"LoRA: PEFT {lora[0]:.2f}, transformers {lora[1]:.2f}; DoRA: PEFT {dora[0]:.2f}, transformers {dora[1]:.2f}")
assert max(lora) < 1e-4 and dora[0] < 1e-4, "PEFT or plain LoRA is wrong now, too"
assert dora[1] > 0.1, "load_adapter() reads magnitudes now"
PYTHON
