# SPDX-License-Identifier: Apache-2.0
"""What transformers' Trainer writes next to a checkpoint does not fail a scan by default; a global that is not
known does.

    scan_checkpoint.py FERRULE
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch
from transformers import TrainingArguments

FERRULE = str(pathlib.Path(sys.argv[1]).resolve())


def scan(*arguments):
    done = subprocess.run([FERRULE, "scan", *map(str, arguments), "--json"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def write_checkpoint(folder: pathlib.Path) -> None:
    """The files of Trainer._save_checkpoint that are pickles."""
    torch.save(TrainingArguments(output_dir=str(folder / "out")), folder / "training_args.bin")
    torch.save({"python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.random.get_rng_state()},
               folder / "rng_state.pth")
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3).state_dict(), folder / "scheduler.pt")


def main() -> int:
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        write_checkpoint(folder)
        code, answer = scan(folder)
        assert code == 0 and answer["good"] and answer["verdict"] == "training_state", answer
        assert answer["counts"]["training_state"] == 2 and answer["counts"]["unknown"] == 0, answer["counts"]
        assert all(file["examined"] for file in answer["files"]), answer
        assert scan(folder, "--fail-on", "any")[0] == 1
        assert scan(folder, "--fail-on", "any", "--allow", "training_args.bin", "--allow", "numpy*")[0] == 0

        # A class of a module that nobody knows.
        module = types.ModuleType("my_project")
        module.Settings = type("Settings", (), {"__module__": "my_project"})
        sys.modules["my_project"] = module
        torch.save(module.Settings(), folder / "settings.pt")
        code, answer = scan(folder)
        assert code == 1 and answer["verdict"] == "unknown" and not answer["good"], answer
        assert scan(folder, "--fail-on", "dangerous")[0] == 0
        assert scan(folder, "--allow", "my_project.*")[0] == 0

        content = (folder / "settings.pt").read_bytes()
        done = subprocess.run([FERRULE, "scan", "-", "--json"], input=content, capture_output=True)
        assert done.returncode == 1 and json.loads(done.stdout)["files"][0]["path"] == "-", done.stdout

        (folder / "modeling.py").write_text("import os\n")
        (folder / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        _, answer = scan(folder)
        seen = {pathlib.Path(file["path"]).name: file["examined"] for file in answer["files"]}
        assert not seen["modeling.py"] and not seen["model.h5"], seen
        assert any("remote code" in what for what in answer["out_of_scope"]), answer
    print("as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
