#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# Loading a finished adapter beside one that is being trained, to compare with or to generate, changes the one in training. PeftModel.load_adapter()
# puts the whole model into eval mode, so dropout is off for the rest of a loop that calls train() once. load_adapter() of a transformers model does
# that, freezes all adapters, and makes the loaded one active in place of the other; its report says besides that the other's factors were "newly
# initialized", which is not so. set_adapter() thaws the adapter, but the model stays in eval mode.
#
# Seen, active / trainable tensors / training mode, before and after: PeftModel: first, 2, True; first, 2, False. transformers: first, 2, True;
# second, 0, False; after set_adapter("first") first, 2, False; factors of "first" untouched.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

folder = os.path.join(os.environ["WORK"], "finished")
config = LoraConfig(r=4, lora_dropout=0.1, target_modules=["q_proj"])


def make_base():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                        num_key_value_heads=2))


def state(model):
    active = model.active_adapters() if callable(model.active_adapters) else model.active_adapters
    return list(active), sum(parameter.requires_grad for parameter in model.parameters()), model.training


get_peft_model(make_base(), config).save_pretrained(folder)

model = get_peft_model(make_base(), config, adapter_name="first").train()
before = state(model)
model.load_adapter(folder, adapter_name="second")
after = state(model)
print("PeftModel:", before, after)
assert before == (["first"], 2, True) and after == (["first"], 2, False), "PeftModel does otherwise now"

model = make_base()
model.add_adapter(config, adapter_name="first")
model.train()
before = state(model)
factors = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if ".first." in name}
model.load_adapter(folder, adapter_name="second")
after = state(model)
model.set_adapter("first")
again = state(model)
untouched = all(torch.equal(parameter, factors[name]) for name, parameter in model.named_parameters() if name in factors)
print("transformers:", before, after, again, "untouched:", untouched)
assert before == (["first"], 2, True) and after == (["second"], 0, False) and again == (["first"], 2, False), "transformers does otherwise now"
assert untouched, "the first adapter is overwritten"
PYTHON
