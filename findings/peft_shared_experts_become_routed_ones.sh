#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# For models whose experts transformers 5 fused (deepseek_v2, deepseek_v3, glm4_moe, dots1, ernie4_5_moe, qwen3_next ...), PEFT moves every
# target that ends in gate_proj, up_proj or down_proj to the fused parameters, whole paths and "shared_experts.down_proj" as well. What was
# asked for, the shared experts or the dense layers in front, is not adapted; the routed experts are, without a word. Adapters of these
# modules that were trained with transformers 4 load the same way: their tensors are left out.
#
# Seen: target_modules=["shared_experts.down_proj"] on glm4_moe adapts mlp.experts.down_proj alone; on qwen2_moe, whose type is not in the
# table, the same on shared_expert adapts the shared expert.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
cat > "$work/run.py" <<'PYTHON'
import warnings

import peft
import torch
import transformers

warnings.simplefilter("ignore")
transformers.logging.set_verbosity_error()
SIZES = dict(hidden_size=32, intermediate_size=48, moe_intermediate_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=64, num_experts_per_tok=2)


def adapted(config, model_class, target):
    torch.manual_seed(0)
    model = peft.get_peft_model(model_class(config), peft.LoraConfig(r=4, target_modules=[target]))
    return sorted({name.split(".lora_")[0].removeprefix("base_model.model.") for name in peft.get_peft_model_state_dict(model)})


glm = adapted(transformers.Glm4MoeConfig(**SIZES, head_dim=8, n_routed_experts=4, n_shared_experts=1, first_k_dense_replace=1, n_group=1,
                                         topk_group=1), transformers.Glm4MoeForCausalLM, "shared_experts.down_proj")
print("target_modules=['shared_experts.down_proj'] on glm4_moe adapts:", *glm)
qwen = adapted(transformers.Qwen2MoeConfig(**SIZES, num_experts=4, shared_expert_intermediate_size=24), transformers.Qwen2MoeForCausalLM,
               "shared_expert.down_proj")
print("target_modules=['shared_expert.down_proj'] on qwen2_moe adapts:", *qwen)
assert all("shared_expert" in name for name in qwen), qwen
assert glm == ["model.layers.1.mlp.experts"], "the shared experts are adapted"
PYTHON
"$work/env/bin/python" "$work/run.py"
