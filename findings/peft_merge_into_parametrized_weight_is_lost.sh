#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# LoRA on a layer with torch's weight normalization (as in many audio models) or another parametrization trains and answers as it should.
# merge_adapter() adds the update to a weight that torch computes again at each access, so the update is gone at once: the layer calls itself merged,
# skips the adapter, and answers as the base. merge_and_unload() hands out the base. safe_merge makes no difference, and nothing is said.
#
# Seen, relative difference, adapter / merged / unloaded to base: plain 2.7 / 2.7 / 2.7; weight_norm 2.7 / 0.0 / 0.0; spectral_norm
# 4.8 / 0.0 / 0.0; orthogonal 1.6 / 0.0 / 0.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import warnings
from collections import OrderedDict

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils import parametrizations


def effects(wrap, safe_merge):
    torch.manual_seed(0)
    base = torch.nn.Sequential(OrderedDict(layer=wrap(torch.nn.Linear(16, 16)))).eval()
    x = torch.randn(4, 16)
    with torch.no_grad():
        expected = base(x).clone()
        model = get_peft_model(base, LoraConfig(r=4, target_modules=["layer"])).eval()
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        seen = [model(x).clone()]
        model.merge_adapter(safe_merge=safe_merge)
        assert model.base_model.model.layer.merged
        seen.append(model(x).clone())
        seen.append(model.merge_and_unload()(x))
    return [((value - expected).norm() / expected.norm()).item() for value in seen]


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plain = effects(lambda layer: layer, False)
    lost = {wrap.__name__: effects(wrap, safe) for safe in (False, True)
            for wrap in (parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal)}
print("plain {:.1f} / {:.1f} / {:.1f};".format(*plain), {name: [round(value, 2) for value in seen] for name, seen in lost.items()})
assert min(plain) > 0.5 and max(plain) - min(plain) < 1e-4, "merging a plain layer changed"
for name, (adapter, merged, unloaded) in lost.items():
    assert adapter > 0.1 and merged < 1e-5 and unloaded < 1e-5, f"merging into {name} changed"
assert not any("parametriz" in str(entry.message) for entry in caught), "merging warns now"
PYTHON
