#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# save_as_lora() converts an adapter of another kind to LoRA and takes the modules in modules_to_save along, but keeps only the last part of each
# parameter's name. A head that is one linear layer comes through. RoBERTa's classifier has two, dense and out_proj: the later overwrites the
# earlier under a name that the model does not have. Saving says nothing; the file cannot be loaded, and half of the head is not in it.
#
# Seen, BERT / RoBERTa: saved classifier.weight, classifier.bias / the same two, with the shapes of out_proj; loaded: outputs off by 0.00 /
# KeyError.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import os

import torch
from peft import LoHaConfig, PeftModel, get_peft_model, save_as_lora
from safetensors.torch import load_file
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "num_labels": 3}


def make_base(kind):
    torch.manual_seed(0)
    if kind == "bert":
        return BertForSequenceClassification(BertConfig(**sizes)).eval()
    return RobertaForSequenceClassification(RobertaConfig(**sizes)).eval()


batch = torch.arange(4, 24).view(2, 10)
results = {}
for kind in ("bert", "roberta"):
    model = get_peft_model(make_base(kind), LoHaConfig(r=2, alpha=2, target_modules=["query", "value"], task_type="SEQ_CLS"))
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    folder = os.path.join(os.environ["WORK"], kind)
    save_as_lora(folder, model.eval(), rank=8)
    saved = load_file(os.path.join(folder, "adapter_model.safetensors"))
    head = {name.removeprefix("base_model.model."): tuple(tensor.shape) for name, tensor in saved.items() if "lora" not in name}
    with torch.no_grad():
        outputs = model(batch).logits
        try:
            loaded = PeftModel.from_pretrained(make_base(kind), folder).eval()
            results[kind] = "off by {:.2f}".format(((loaded(batch).logits - outputs).norm() / outputs.norm()).item())
        except KeyError as error:
            results[kind] = f"KeyError {error}"
    print(kind, "saved", head, "loaded:", results[kind])
    assert head == {"classifier.weight": (3, 32), "classifier.bias": (3,)}, "the head is saved under other names now"
assert results["bert"] == "off by 0.00" and results["roberta"].startswith("KeyError"), "the heads are loaded otherwise now"
PYTHON
