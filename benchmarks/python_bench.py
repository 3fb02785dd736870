#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the Python module with safetensors and PEFT: see README.md beside this file.

    PYTHONPATH=BUILD/python python python_bench.py [--command BUILD/cli/ferrule] [--rounds N] [--json FILE]

Run it with a Python that has torch, safetensors and PEFT; without them it fails.
"""

import argparse
import gc
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import ferrule
import ferrule.torch
import peft
import safetensors
import safetensors.torch
import torch

TENSORS = 25600


def name(i):
    return f"base_model.model.model.layers.{i // 16:03d}.self_attn.m{i % 16:02d}_proj.lora_A.weight"


def timed(function, *arguments):
    """Milliseconds, without what it costs to drop the answer."""
    gc.collect()
    start = time.perf_counter_ns()
    answer = function(*arguments)
    elapsed = time.perf_counter_ns() - start
    return elapsed / 1e6, answer


def same_tensors(a, b):
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


def bench_load(folder, rounds):
    path = folder / "many.safetensors"
    for _ in range(rounds):
        ours, mine = timed(ferrule.torch.load_file, path)
        peer, theirs = timed(safetensors.torch.load_file, path)
        floor, _ = timed(path.read_bytes)
        if not same_tensors(mine, theirs):
            sys.exit("python_bench: load_file: the tensors differ")
        yield ours, peer, floor


def bench_save(folder, rounds):
    tensors = {key: tensor.clone() for key, tensor in safetensors.torch.load_file(folder / "many.safetensors").items()}
    mine, theirs, raw = (folder / f"{who}.safetensors" for who in ("mine", "theirs", "raw"))
    for _ in range(rounds):
        for path in (mine, theirs, raw):
            path.unlink(missing_ok=True)
        ours, _ = timed(ferrule.torch.save_file, tensors, mine)
        peer, _ = timed(safetensors.torch.save_file, tensors, theirs)
        content = mine.read_bytes()
        floor, _ = timed(raw.write_bytes, content)
        if content != theirs.read_bytes():
            sys.exit("python_bench: save_file: the bytes differ")
        yield ours, peer, floor


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


def bench_inspect(folder, rounds):
    adapter = str(folder / "adapter")
    for _ in range(rounds):
        ours, mine = timed(answer_of, sys.executable, "-c", OURS, adapter)
        peer, theirs = timed(answer_of, sys.executable, "-c", PEER, adapter)
        floor, _ = timed(answer_of, sys.executable, "-c", "pass")
        if mine != theirs:
            sys.exit(f"python_bench: inspect: {mine!r} != {theirs!r}")
        yield ours, peer, floor


def bench_command(folder, rounds, command):
    adapter = str(folder / "adapter")
    for _ in range(rounds):
        ours, mine = timed(answer_of, command, "inspect", "--json", adapter)
        peer, theirs = timed(answer_of, sys.executable, "-c", PEER, adapter)
        floor, _ = timed(answer_of, "/bin/true")
        said = json.loads(mine)
        if theirs.split() != [said["peft_type"], str(said["rank"]), str(said["tensor_count"])]:
            sys.exit(f"python_bench: inspect: {theirs!r} is not what the command said")
        yield ours, peer, floor


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", help="the ferrule command, to be timed as well")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", help="where to put the files (default: a temporary folder)")
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = {
        "host": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version(),
        "torch": torch.__version__, "safetensors": safetensors.__version__, "peft": peft.__version__,
        "ferrule": ferrule.__version__, "results": [],
    }  # fmt: skip
    print(f"{'':48} {'ours':>10} {'peer':>10} {'floor':>10} {'ratio':>7} {'goal':>5}")
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=arguments.folder) as temporary:
        folder = pathlib.Path(temporary)
        make_files(folder)
        rows = [
            ("load_file of 25,600 tensors", 10, lambda n: bench_load(folder, n)),
            ("save_file of 25,600 tensors of 32 bytes", 15, lambda n: bench_save(folder, n)),
            ("inspect an adapter, python started for it", 30, lambda n: bench_inspect(folder, n)),
        ]
        if arguments.command:
            rows.append(
                ("inspect an adapter, the command", 30, lambda n: bench_command(folder, n, arguments.command))
            )
        for title, goal, bench in rows:
            # The first two rounds warm up.
            ours, peer, floor = zip(*list(bench(arguments.rounds + 2))[2:])
            a, b, f = (statistics.median(times) for times in (ours, peer, floor))
            record["results"].append({
                "title": title, "rounds": arguments.rounds, "goal": goal, "ratio": round(b / a, 2), "floor_ms": f,
                "ours_ms": {"median": a, "min": min(ours), "max": max(ours)},
                "peer_ms": {"median": b, "min": min(peer), "max": max(peer)},
            })  # fmt: skip
            print(f"{title:48} {a:8.1f}ms {b:8.1f}ms {f:8.1f}ms {b / a:6.1f}x {goal:>5}", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
