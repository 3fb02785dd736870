#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` on checkpoints of Lightning's and Fabric's strategies, Accelerate's FSDP1, and DeepSpeed's settings
(strategy_checkpoints.py).

    rescue_strategies.py FERRULE FOLDER

FOLDER keeps an environment with the pinned programs, made on the first run over the packages of this Python.
"""

import sys

import rescue_trainers


def check(checks, root, ranks):
    kinds = sorted(root.iterdir())
    for kind in kinds:
        has_master = (kind / "master").exists()
        usual = "master" if kind.name.startswith("zero3") else "expected"
        checks.good(kind / "ckpt", kind / usual)
        if has_master:
            checks.good(kind / "ckpt", kind / "master", options=["--prefer", "master"])
        checks.good(kind / "ckpt", kind / "expected", options=["--prefer", "working"])
    # F32 throughout: the optimizer's weights are the model's.
    checks.good(root / "zero2-round-robin/ckpt", root / "zero2-round-robin/expected", options=["--prefer", "master"])
    lost = [
        ("lightning-fsdp", "*step=4.ckpt/__1_0.distcp", "RS-3"), ("lightning-zero2", "*step=4.ckpt/checkpoint/*rank_1*optim_states.pt", "RS-5"),
        ("lightning-zero3", "*step=4.ckpt/checkpoint/*rank_1*model_states.pt", "RS-5"), ("fabric-fsdp", "state.ckpt/__0_0.distcp", "RS-3"),
        ("accelerate-local", "*rank1.bin", "RS-5"), ("accelerate-local-flat", "*rank0.bin", "RS-5"),
        ("zero0-experts", "global_step2/layer_1_expert_3_*", "RS-5"), ("zero2-experts", "global_step2/layer_0_expert_0_*", "RS-5"),
        ("zero3-subgroups", "global_step2/*rank_1*optim_states.pt", "RS-5"), ("zero1-elastic", "global_step2/*rank_1*optim_states.pt", "RS-5"),
    ]
    for kind, pattern, rule in lost:
        path = next((root / kind / "ckpt").glob(pattern))
        step = path
        while step.parent.name != "ckpt":
            step = step.parent
        step = step if step.is_dir() else step.parent
        config = root / kind / "expected/adapter_config.json"
        checks.refused(step, config, "rescue", lambda d, at=path.relative_to(step): (d / at).unlink(), rule, path.name)


if __name__ == "__main__":
    sys.exit(rescue_trainers.run("strategy_checkpoints.py", [2], check))
