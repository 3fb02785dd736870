#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# loralib 0.1.2, torch 2.13.0, seen 2026-11-29.
#
# loralib merges its factors into the weight in eval() and takes them out again in train(), and whether they are in is not part of the state dict. A
# state dict taken in eval mode, after a validation pass, say, holds the merged weight beside the factors, and a new layer that loads it applies the
# update twice, in both modes. The other way round, factors loaded into a layer in eval mode change nothing, and the next train() takes out the new
# update where the old one had been put in: the frozen weight is damaged for good. eval() and train() of a loralib layer also return
# None, unlike those of any torch module, so `layer = lora.Linear(...).eval()` is None.
#
# Seen, relative error: state dict from train mode 0.00, from eval mode 0.78; factors loaded in train mode 0.00, in eval mode 1.13, after
# train() 1.13; the weight has changed by 1.00 of the difference of the two updates.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6 loralib==0.1.2
"$work/env/bin/python" - <<'PYTHON'
import copy

import loralib
import torch

X = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))


def make_layer(seed):
    torch.manual_seed(0)
    layer = loralib.Linear(16, 16, r=4, lora_alpha=8)
    torch.manual_seed(seed)
    for factor in (layer.lora_A, layer.lora_B):
        torch.nn.init.normal_(factor, std=0.2)
    return layer


def error(layer, expected):
    with torch.no_grad():
        return ((layer(X) - expected).norm() / expected.norm()).item()


first = make_layer(1)
with torch.no_grad():
    expected = first(X)
whole = {}
for mode in ("train", "eval"):
    assert getattr(first, mode)() is None, f"{mode}() returns the layer now"
    again = make_layer(2)
    again.load_state_dict(copy.deepcopy(first.state_dict()))
    again.eval()
    whole[mode] = error(again, expected)

factors = {name: tensor.clone() for name, tensor in loralib.lora_state_dict(first).items()}
in_train, in_eval = make_layer(2), make_layer(2)
in_eval.eval()
for layer in (in_train, in_eval):
    layer.load_state_dict(factors, strict=False)
part = {"train": error(in_train, expected), "eval": error(in_eval, expected)}
in_eval.train()
part["after train()"] = error(in_eval, expected)
update = first.lora_B @ first.lora_A * first.scaling - make_layer(2).lora_B @ make_layer(2).lora_A * first.scaling
damage = ((in_eval.weight - make_layer(1).weight).norm() / update.norm()).item()
print("state dict", whole, "factors", part, f"damage {damage:.2f}")
assert whole["train"] < 1e-5 and part["train"] < 1e-5, "what was right is wrong"
assert whole["eval"] > 0.1 and part["eval"] > 0.1 and part["after train()"] > 0.1 and abs(damage - 1) < 1e-3, "the modes are kept apart now"
PYTHON
