#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# apply_activation_checkpointing, torch's own and what Accelerate and Lightning call for FSDP's activation checkpointing, wraps layers in a
# CheckpointWrapper. Its hooks keep the keys of state_dict() as they were, but named_modules() gets "_checkpoint_wrapped_module" in them. PEFT
# keeps only tensors whose module it finds by name there: save_pretrained() returns as always, and the file has no tensor at all, also if the
# whole state dict is passed in. Loading that folder leaves the adapter as it was initialized. torch.compile, which renames modules alike, is fine.
#
# Seen: 12 tensors without the wrapper and with compiled layers, 0 with it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - "$work" <<'PYTHON'
import sys
import warnings

import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import apply_activation_checkpointing
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

warnings.simplefilter("ignore")


def make():
    config = LlamaConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=50)
    return get_peft_model(LlamaForCausalLM(config), LoraConfig(r=3, target_modules=["q_proj", "v_proj", "down_proj"]))


def saved(model, **more):
    model.save_pretrained(f"{sys.argv[1]}/out", **more)
    with safe_open(f"{sys.argv[1]}/out/adapter_model.safetensors", "pt") as file:
        return len(file.keys())


plain, wrapped, compiled = make(), make(), make()
apply_activation_checkpointing(wrapped, check_fn=lambda module: isinstance(module, LlamaDecoderLayer))
layers = compiled.base_model.model.model.layers
for at, layer in enumerate(layers):
    layers[at] = torch.compile(layer)
state = wrapped.state_dict()
assert state.keys() == plain.state_dict().keys(), "the wrapper changes the keys of the state dict"
seen = {"plain": saved(plain), "compiled": saved(compiled), "wrapped": saved(wrapped), "wrapped, state_dict=": saved(wrapped, state_dict=state)}
print(seen)
assert seen == {"plain": 12, "compiled": 12, "wrapped": 0, "wrapped, state_dict=": 0}, "PEFT saves something else"
PYTHON
