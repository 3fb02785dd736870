#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# target_parameters puts LoRA on the experts of a mixture. Each forward pass adds the update to all experts of the layer, in a new tensor as large
# as their weights, and throws it away, also where a single token goes to a few of them: every generated token costs the writing of two copies of
# all experts of the model. Counted, not timed. merge_adapter() avoids it; a server that switches adapters from request to request cannot.
#
# Seen, 2 layers of 128 experts, 8 of them for a token, 6.3 MB of experts in all: one token writes 0.04 MB and takes 0.09 million operations without
# the adapter, 12.6 MB and 25 million with it, and as without once merged.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM


class Written(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        leaves = torch.utils._pytree.tree_leaves((arguments, keywords))
        given = {leaf.untyped_storage().data_ptr() for leaf in leaves if isinstance(leaf, torch.Tensor)}
        for leaf in torch.utils._pytree.tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage().data_ptr() not in given:
                self.bytes += leaf.nbytes
        return result


def measure(model):
    token = torch.tensor([[5]])
    with torch.no_grad():
        with Written() as written:
            model(token, use_cache=False)
        with FlopCounterMode(display=False) as operations:
            model(token, use_cache=False)
    return written.bytes, operations.get_total_flops()


torch.manual_seed(0)
base = Qwen3MoeForCausalLM(Qwen3MoeConfig(vocab_size=64, hidden_size=64, intermediate_size=128, moe_intermediate_size=32, num_hidden_layers=2,
                                          num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_experts=128, num_experts_per_tok=8)).eval()
weights = sum(parameter.nbytes for name, parameter in base.named_parameters() if "experts" in name)
plain = measure(base)
model = get_peft_model(base, LoraConfig(r=4, target_modules=[], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])).eval()
adapted = measure(model)
model.merge_adapter()
merged = measure(model)
print("experts", weights, "bytes; one token writes / computes: base", plain, "adapted", adapted, "merged", merged)
assert adapted[0] > 1.9 * weights and plain[0] < 0.1 * weights and adapted[1] > 100 * plain[1] and merged == plain, "one token costs less now"
PYTHON
