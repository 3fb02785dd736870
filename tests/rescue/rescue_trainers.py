#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` on checkpoints that the real DeepSpeed writes: ZeRO-1, 2 and 3, F32 and BF16, with and without the base; two
and three processes.

    rescue_trainers.py FERRULE FOLDER

FOLDER keeps an environment with the pinned DeepSpeed, made on the first run over the packages of this Python.
"""

import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

import rescue_checks

PACKAGES = ["deepspeed==0.19.8", "lightning==2.6.6"]
# Without what it would install: its own torch, and what only GPUs need.
ALONE = ["megatron-core==0.16.1"]
HERE = pathlib.Path(__file__).resolve().parent


def environment(folder):
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True, env={**os.environ, "DS_BUILD_OPS": "0"})
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *ALONE], check=True)
        (folder / "ready").touch()
    return python


def run(script, processes, check):
    """The exit code of a program with the usage above: `check(checks, folder, ranks)` looks at what `script` writes with
    each number of processes."""
    checks = rescue_checks.Checks(sys.argv[1])
    python = environment(pathlib.Path(sys.argv[2]))
    for ranks in processes:
        with tempfile.TemporaryDirectory() as place:
            subprocess.run([python, HERE / script, place, str(ranks)], check=True)
            check(checks, pathlib.Path(place), ranks)
    return checks.finish()


def check(checks, root, ranks):
    for kind in sorted(root.iterdir()):
        for checkpoint in ("ckpt/global_step2", "excluded"):
            usual = "master" if kind.name.startswith("zero3") else "expected"
            checks.good(kind / checkpoint, kind / usual, says={"step": 2, "world_size": ranks})
            checks.good(kind / checkpoint, kind / "master", options=["--prefer", "master"])
            checks.good(kind / checkpoint, kind / "expected", options=["--prefer", "working"])


if __name__ == "__main__":
    sys.exit(run("trainer_checkpoints.py", (2, 3), check))
