#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` on checkpoints of Lightning's and Fabric's strategies, Accelerate's FSDP1, and DeepSpeed's settings
(strategy_checkpoints.py).

    rescue_strategies.py FERRULE FOLDER

FOLDER keeps an environment with the pinned programs, made on the first run over the packages of this Python.
"""

import pathlib
import subprocess
import sys
import tempfile

import rescue_checks
import rescue_trainers


def check(checks, root):
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


def main():
    checks = rescue_checks.Checks(sys.argv[1])
    python = rescue_trainers.environment(pathlib.Path(sys.argv[2]))
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([python, pathlib.Path(__file__).with_name("strategy_checkpoints.py"), place, "2"], check=True)
        check(checks, pathlib.Path(place))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
