#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the Python module with safetensors and PEFT: see README.md beside this file.

    PYTHONPATH=BUILD/python python python_bench.py [--command BUILD/cli/ferrule] [--rounds N] [--json FILE]

Run it with a Python that has torch, safetensors and PEFT; without them it fails.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import ferrule
import ferrule.torch
import peft
import safetensors
import safetensors.torch
import side_by_side
import torch
from side_by_side import Table, timed

TENSORS = 25600


def name(i):
    return f"base_model.model.model.layers.{i // 16:03d}.self_attn.m{i % 16:02d}_proj.lora_A.weight"


def same_tensors(a, b):
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def alone(function, *arguments):
    """A floor: timed, and what it gives compared with nothing."""
    return timed(function, *arguments)[0], None


def bench_load(table, folder):
    path = folder / "many.safetensors"
    table.row("load_file of 25,600 tensors", 10, lambda: timed(ferrule.torch.load_file, path),
              lambda: timed(safetensors.torch.load_file, path), floor=lambda: alone(path.read_bytes), same=same_tensors)


def bench_save(table, folder):
    tensors = {key: tensor.clone() for key, tensor in safetensors.torch.load_file(folder / "many.safetensors").items()}
    mine, theirs, raw = (folder / f"{who}.safetensors" for who in ("mine", "theirs", "raw"))

    def before():
        for path in (mine, theirs, raw):
            path.unlink(missing_ok=True)

    def save(function, path):
        elapsed, _ = timed(function, tensors, path)
        return elapsed, path.read_bytes()

    table.row("save_file of 25,600 tensors of 32 bytes", 15, lambda: save(ferrule.torch.save_file, mine),
              lambda: save(safetensors.torch.save_file, theirs), before=before,
              floor=lambda: alone(raw.write_bytes, mine.read_bytes()))


OURS = "import sys, ferrule; s = ferrule.inspect(sys.argv[1]); print(s.peft_type, s.rank, s.totals.tensors)"
PEER = """
import sys
from peft import PeftConfig
from peft.utils import load_peft_weights
config = PeftConfig.from_pretrained(sys.argv[1])
print(config.peft_type.value, config.r, len(load_peft_weights(sys.argv[1], device="cpu")))
"""


def answer_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def bench_inspect(table, folder):
    adapter = str(folder / "adapter")
    table.row("inspect an adapter, python started for it", 30,
              lambda: timed(answer_of, sys.executable, "-c", OURS, adapter),
              lambda: timed(answer_of, sys.executable, "-c", PEER, adapter),
              floor=lambda: alone(answer_of, sys.executable, "-c", "pass"))


def bench_command(table, folder, command):
    adapter = str(folder / "adapter")

    def ours():
        elapsed, answer = timed(answer_of, command, "inspect", "--json", adapter)
        said = json.loads(answer)
        return elapsed, f"{said['peft_type']} {said['rank']} {said['tensor_count']}\n"

    table.row("inspect an adapter, the command", 30, ours, lambda: timed(answer_of, sys.executable, "-c", PEER, adapter),
              floor=lambda: alone(answer_of, "/bin/true"))


def make_files(folder):
    tensors = {name(i): torch.full((8,), float(i)) for i in range(TENSORS)}
    safetensors.torch.save_file(tensors, folder / "many.safetensors")
    config = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"], base_model_name_or_path="base")
    config.inference_mode = True
    config.save_pretrained(folder / "adapter")
    pairs = {}
    for layer in range(32):
        for module in ("q_proj", "v_proj"):
            prefix = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            pairs[f"{prefix}.lora_A.weight"] = torch.zeros(8, 512)
            pairs[f"{prefix}.lora_B.weight"] = torch.zeros(512, 8)
    safetensors.torch.save_file(pairs, folder / "adapter" / "adapter_model.safetensors", {"format": "pt"})


def main():
    parser = side_by_side.arguments(__doc__, 9)
    parser.add_argument("--command", help="the ferrule command, to be timed as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(options, floor=True, torch=torch.__version__, safetensors=safetensors.__version__,
                  peft=peft.__version__, ferrule=ferrule.__version__)
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as temporary:
        folder = pathlib.Path(temporary)
        make_files(folder)
        bench_load(table, folder)
        bench_save(table, folder)
        bench_inspect(table, folder)
        if options.command:
            bench_command(table, folder, options.command)
    table.write()


if __name__ == "__main__":
    main()
