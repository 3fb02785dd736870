#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lycoris-lora 4.1.3, torch 2.13.0, seen 2026-11-29.
#
# DyLoRA trains with a rank drawn again at each step. merge_to() draws one as well: an adapter of rank 8 that is merged into the same weights
# four times gives up to four different models, most of them with only a part of the rank. Nothing warns, eval() changes nothing, and the saved
# file, which other programs merge with all of its rank, is none of them.
#
# Seen: ranks of the merged difference such as [8, 4, 8, 6], norms 0.95 to 1.35.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 lycoris-lora==4.1.3 numpy
"$work/env/bin/python" - <<'PYTHON'
import torch
from lycoris import create_lycoris

torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q = torch.nn.Linear(32, 32, bias=False)


net = Net()
wrapped = create_lycoris(net, 1.0, linear_dim=8, linear_alpha=8, algo="dylora", block_size=1)
wrapped.apply_to()
for parameter in wrapped.parameters():
    parameter.data = torch.randn_like(parameter) * 0.1
wrapped.eval()
wrapped.restore()
before = net.q.weight.data.clone()
ranks, norms = [], []
for _ in range(12):
    wrapped.merge_to(1.0)
    change = net.q.weight.data - before
    ranks.append(torch.linalg.matrix_rank(change).item())
    norms.append(round(change.norm().item(), 3))
    net.q.weight.data.copy_(before)
print("ranks", ranks, "norms", norms)
assert len(set(ranks)) > 1 and min(ranks) < 8, "merge_to() takes one rank now"
PYTHON
