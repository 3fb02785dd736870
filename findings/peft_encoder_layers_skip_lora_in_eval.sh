#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# LoRA on the linear layers of torch's own nn.TransformerEncoderLayer acts while the model trains and is gone in eval mode. There the layer takes a
# fused path that reads linear1.weight and linear2.weight and calls neither of the two; PEFT's layers hand out the base weight under that name. It
# is the frozen weights that open this path, so it is taken with gradients on as well. LoRA on the layer's attention (self_attn) is skipped in the
# same way. Evaluation measures the base, training loss falls all the same; merge_and_unload() brings the adapter back.
#
# Seen, relative difference to the base in training / eval / merged: linear1 and linear2: 0.24 / 0.00 / 0.24; self_attn: 0.57 / 0.00 / 0.57.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import copy

import torch
from peft import LoraConfig, get_peft_model


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)

    def forward(self, batch):
        return self.encoder(batch)


def effects(targets):
    torch.manual_seed(0)
    base = Model().eval()
    batch = torch.randn(3, 5, 32)
    plain = base(batch).detach()
    model = get_peft_model(copy.deepcopy(base), LoraConfig(r=4, lora_alpha=16, target_modules=targets))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)

    def effect(some):
        with torch.no_grad():
            return ((some(batch) - plain).norm() / plain.norm()).item()

    training = effect(model.train())
    evaluating = effect(model.eval())
    return training, evaluating, effect(copy.deepcopy(model).merge_and_unload().eval())


for targets in (["linear1", "linear2"], ["self_attn"]):
    training, evaluating, merged = effects(targets)
    print("{}: train {:.2f}, eval {:.2f}, merged {:.2f}".format(targets, training, evaluating, merged))
    assert training > 0.1 and merged > 0.1, "the adapter has no effect"
    assert evaluating < 1e-4, "the adapter acts in eval mode now"
PYTHON
