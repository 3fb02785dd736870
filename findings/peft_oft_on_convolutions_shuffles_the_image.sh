#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, torch 2.13.0, seen 2026-11-29.
#
# A new OFT adapter is the identity, so the model should answer as its base does. On a 3x3 convolution it does not: the layer cuts the input
# into overlapping patches, rotates them, and puts them together again, but hands them back in another order than torch's fold() reads them, and does
# not divide by how many patches overlap. So the pixels of any image come back in other places, and a plain one becomes nine times as bright inside
# (less near the edges). merge_adapter() rotates the weight instead and answers as the base does: what is trained is not what is merged. A 1x1
# convolution is right.
#
# Seen, new adapter to base: 1x1: difference 0.00; 3x3: difference 5.75 for a plain image (9.0 times inside), 2.50 for noise; merged: 0.00 in all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import OFTConfig, get_peft_model

torch.manual_seed(0)
PLAIN, NOISE = torch.ones(1, 4, 8, 8), torch.randn(1, 4, 8, 8)


def outputs(kernel):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Conv2d(4, 4, kernel, padding=kernel // 2, bias=False))
    with torch.no_grad():
        seen = [[base(PLAIN), base(NOISE)]]
        model = get_peft_model(base, OFTConfig(oft_block_size=4, target_modules=["0"])).eval()
        seen.append([model(PLAIN), model(NOISE)])
        model.merge_adapter()
        seen.append([model(PLAIN), model(NOISE)])
    return seen


def differences(new, base):
    return [((a - b).norm() / b.norm()).item() for a, b in zip(new, base)]


base, new, merged = outputs(1)
small = differences(new, base) + differences(merged, base)
base, new, merged = outputs(3)
large = differences(new, base)
inside = (new[0] / base[0])[0, :, 3:5, 3:5]
print(f"1x1: {max(small):.2f}; 3x3: plain {large[0]:.2f} ({inside.mean().item():.1f} times inside), noise {large[1]:.2f},",
      f"merged {max(differences(merged, base)):.2f}")
assert max(small) < 1e-5 and max(differences(merged, base)) < 1e-5, "the 1x1 convolution or the merge changed"
assert (inside - 9).abs().max() < 1e-3 and large[1] > 1, "the 3x3 convolution changed"
PYTHON
