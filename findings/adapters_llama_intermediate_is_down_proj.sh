#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# adapters 1.3.0 (AdapterHub), transformers 4.57.6, torch 2.13.0, seen 2026-11-29.
#
# On BERT, intermediate_lora adapts the layer that widens (intermediate.dense) and output_lora the one that narrows (output.dense). On Llama
# the same switches are the other way round: intermediate_lora adapts down_proj, output_lora up_proj, and nothing adapts gate_proj. A config
# moved from one family to the other trains other layers than it says.
#
# Seen: BERT intermediate.dense / output.dense; Llama down_proj / up_proj.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==4.57.6 adapters==1.3.0
"$work/env/bin/python" - <<'PYTHON'
import adapters
from adapters import LoRAConfig
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

SIZES = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)


def adapted(model, **settings):
    adapters.init(model)
    model.add_adapter("task", config=LoRAConfig(r=4, selfattn_lora=False, **settings))
    return {name.split(".loras.")[0].split("0.", 1)[1] for name, _ in model.named_parameters() if ".loras.task." in name}


seen = {}
for family, make in (("BERT", lambda: BertModel(BertConfig(**SIZES))), ("Llama", lambda: LlamaModel(LlamaConfig(**SIZES)))):
    seen[family] = (adapted(make(), intermediate_lora=True), adapted(make(), output_lora=True))
print(seen)
assert seen["BERT"] == ({"intermediate.dense"}, {"output.dense"}), "BERT's switches changed"
assert seen["Llama"] == ({"mlp.down_proj"}, {"mlp.up_proj"}), "Llama's switches changed"
PYTHON
