#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# adapters 1.3.0 (AdapterHub), transformers 4.57.6, torch 2.13.0, seen 2026-11-29.
#
# A DoRA adapter of the library `adapters` gives other outputs once merge_adapter() has merged it: the merge adds B A without the
# strength alpha / r, and the norm, while the unmerged layer multiplies B A by the strength but takes the norm of W + B A without it.
# With alpha == r and no bias both agree; with alpha = 4 r the outputs of one small linear layer differ by three quarters. Plain LoRA agrees
# in both. The unmerged layer also multiplies the layer's bias by the magnitude over the norm, which the merged one does not.
#
# Seen: LoRA, alpha 16, r 4: 0.000; DoRA, alpha 4, r 4: 0.000; DoRA, alpha 16, r 4: 0.746.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==4.57.6 adapters==1.3.0
"$work/env/bin/python" - <<'PYTHON'
import adapters
import torch
from adapters import LoRAConfig
from transformers import LlamaConfig, LlamaModel


def difference(**settings):
    torch.manual_seed(0)
    model = LlamaModel(LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                   num_key_value_heads=2, attention_bias=False))
    adapters.init(model)
    model.add_adapter("task", config=LoRAConfig(r=4, attn_matrices=["v"], **settings))
    model.set_active_adapters("task")
    for name, parameter in model.named_parameters():
        if name.endswith("lora_A") or name.endswith("lora_B"):
            parameter.data = torch.randn_like(parameter) * 0.3
    model.eval()
    layer = model.layers[0].self_attn.v_proj
    x = torch.randn(1, 3, 16)
    with torch.no_grad():
        before = layer(x)
        model.merge_adapter("task")
        after = layer(x)
    return ((after - before).norm() / before.norm()).item()


lora = difference(alpha=16)
same = difference(alpha=4, use_dora=True)
dora = difference(alpha=16, use_dora=True)
print(f"LoRA, alpha 16, r 4: {lora:.3f}; DoRA, alpha 4, r 4: {same:.3f}; DoRA, alpha 16, r 4: {dora:.3f}")
assert lora < 1e-4 and same < 1e-4, "LoRA, or DoRA of strength 1, changed when merged"
assert dora > 0.1, "DoRA no longer changes when merged"
PYTHON
