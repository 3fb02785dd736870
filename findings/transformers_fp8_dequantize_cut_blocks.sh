#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# FP8 checkpoints of DeepSeek's format have one scale for each block of 128 x 128; where 128 does not divide an extent, the last block is
# smaller. Loading with FineGrainedFP8Config(dequantize=True), which a machine without FP8 hardware does by itself, ignores
# weight_block_size: it divides the extent by the number of scales. A weight of 192 rows (scales for rows 0-127 and 128-191) is
# dequantized as if the second scale began at row 96, without a warning; one of 576 rows (5 scales), as DeepSeek-V3's
# kv_a_proj_with_mqa has, raises ValueError. _dequantize_fp8_weight() of the same file, which the backward pass uses, cuts the last block.
#
# Seen: rows with the second scale: from 96 by from_pretrained, from 128 by the backward pass; 576 rows: ValueError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 accelerate==1.15.0
cd "$work"
HF_HUB_OFFLINE=1 "$work/env/bin/python" - <<'PYTHON'
import json

import torch
from safetensors.torch import save_file
from transformers import FineGrainedFP8Config, LlamaConfig, LlamaForCausalLM
from transformers.integrations.finegrained_fp8 import Fp8Dequantize, _dequantize_fp8_weight

config = LlamaConfig(vocab_size=32, hidden_size=128, intermediate_size=192, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, tie_word_embeddings=False)
state = {k: v.to(torch.bfloat16).contiguous() for k, v in LlamaForCausalLM(config).state_dict().items()}
for key in [k for k in state if k.endswith("_proj.weight")]:
    rows, columns = state[key].shape
    state[key] = torch.ones(rows, columns).to(torch.float8_e4m3fn)
    blocks = torch.ones(-(-rows // 128), -(-columns // 128))
    blocks[-1] = 2.0
    state[key + "_scale_inv"] = blocks
config.save_pretrained("model")
written = json.load(open("model/config.json"))
written["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
json.dump(written, open("model/config.json", "w"))
save_file(state, "model/model.safetensors", metadata={"format": "pt"})

model = LlamaForCausalLM.from_pretrained("model", quantization_config=FineGrainedFP8Config(dequantize=True), dtype=torch.float32)
loaded = model.model.layers[0].mlp.up_proj.weight
first = int((loaded[:, 0] == 2).nonzero()[0])
key = "model.layers.0.mlp.up_proj.weight"
backward = _dequantize_fp8_weight(state[key], state[key + "_scale_inv"], [128, 128], torch.float32)
other = int((backward[:, 0] == 2).nonzero()[0])
try:
    Fp8Dequantize(None)._dequantize_one(torch.ones(576, 128).to(torch.float8_e4m3fn), torch.ones(5, 1))
    refused = "loads"
except ValueError as error:
    refused = f"ValueError: {error}"
print(f"the second scale begins at row {first} in from_pretrained, at row {other} in the backward pass; 576 rows: {refused}")
assert (first, other) == (96, 128) and refused.startswith("ValueError")
PYTHON
