#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# lycoris-lora 4.1.3, torch 2.13.0, seen 2026-11-29.
#
# LyCORIS takes a dropout for its LoRA modules (algo "lora" or "locon"), says "Use Dropout value" and does not apply it: by default a module adds
# its update to the weight, and on that path there is no place for dropout. Two training passes of one batch are equal to the bit at dropout 0.9.
# With bypass_mode=True it does act, and rank_dropout acts in both. For LoHa and LoKr, where the same is true, a warning says that dropout is
# missing.
#
# Seen, largest relative difference of 16 training passes over one batch: dropout 0.9: 0.00, with bypass_mode 1.58; rank_dropout 0.5: 0.86.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 lycoris-lora==4.1.3
"$work/env/bin/python" - <<'PYTHON'
import torch
from lycoris import create_lycoris


def noise(bypass, **dropouts):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(32, 32))
    network = create_lycoris(base, 1.0, linear_dim=4, linear_alpha=4, algo="lora", bypass_mode=bypass, **dropouts)
    network.apply_to()
    network.train()
    base.train()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    batch = torch.randn(5, 32)
    outputs = [base(batch) for _ in range(16)]
    return max(((other - outputs[0]).norm() / outputs[0].norm()).item() for other in outputs)


plain = noise(False, dropout=0.9)
bypassing = noise(True, dropout=0.9)
ranks = noise(False, rank_dropout=0.5)
print(f"largest difference of 16 training passes, dropout 0.9: {plain:.2f}, with bypass_mode {bypassing:.2f}; rank_dropout 0.5: {ranks:.2f}")
assert bypassing > 0.1 and ranks > 0.1, "dropout does not act at all"
assert plain == 0, "dropout acts now"
PYTHON
