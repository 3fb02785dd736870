#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `diff` with a script that forms the products: see README.md beside this file.

    python diff_bench.py BUILD/benchmarks/diff_bench [--rounds N] [--json FILE]

Run it with a Python that has torch, numpy and safetensors.
"""
import argparse
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import torch
from safetensors.torch import load_file, save_file

HIDDEN = 4096


def make(folder, modules, rank, dtype, seed):
    torch.manual_seed(seed)
    tensors = {}
    for i in range(modules):
        path = f"base_model.model.model.layers.{i // 2}.self_attn.{'qv'[i % 2]}_proj"
        tensors[f"{path}.lora_A.weight"] = (torch.randn(rank, HIDDEN) / 64).to(dtype)
        tensors[f"{path}.lora_B.weight"] = (torch.randn(HIDDEN, rank) / 64).to(dtype)
    os.makedirs(folder)
    with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
        json.dump({"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["q_proj", "v_proj"]}, file)
    save_file(tensors, os.path.join(folder, "adapter_model.safetensors"), metadata={"format": "pt"})


def open_peer(folder):
    with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return config["lora_alpha"] / config["r"], load_file(os.path.join(folder, "adapter_model.safetensors"))


def peer(use_torch, a, b):
    """What people write: form both updates, subtract, take norms."""
    start = time.perf_counter_ns()
    (s, first), (t, second) = open_peer(a), open_peer(b)
    distance = total = 0.0
    for key in first:
        if not key.endswith("lora_A.weight"):
            continue
        other = key.replace("lora_A", "lora_B")
        if use_torch:
            x, y = s * (first[other].float() @ first[key].float()), t * (second[other].float() @ second[key].float())
            distance += float(torch.linalg.norm(x - y)) ** 2
            total += float(torch.linalg.norm(x)) ** 2
        else:
            x, y = (f * (d[other].float().numpy() @ d[key].float().numpy()) for f, d in ((s, first), (t, second)))
            distance += float(numpy.linalg.norm(x - y)) ** 2
            total += float(numpy.linalg.norm(x)) ** 2
    return time.perf_counter_ns() - start, math.sqrt(distance / total)


class Ours:
    def __init__(self, executable):
        self.process = subprocess.Popen([executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, a, b):
        self.process.stdin.write(f"{a} {b}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            sys.exit("diff_bench: our half failed")
        return int(answer[0]), float(answer[1])


# (title, modules, rank, dtype, goal): 42 MB each.
SCENARIOS = [("r 16, F32", 80, 16, torch.float32, 50), ("r 16, BF16", 160, 16, torch.bfloat16, None),
             ("r 64, F32", 20, 64, torch.float32, None)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("executable")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="scenarios whose title contains this")
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="ferrule-bench-")
    record = {"host": platform.platform(), "cpus": os.cpu_count(), "torch": torch.__version__,
              "numpy": numpy.__version__, "results": []}
    print(f"{'two adapters of 42 MB':24} {'ours':>10} {'torch':>10} {'ratio':>7} {'numpy':>10} {'ratio':>7} {'goal':>5}")
    try:
        ours = Ours(arguments.executable)
        for title, modules, rank, dtype, goal in SCENARIOS:
            if arguments.only not in title:
                continue
            a, b = (os.path.join(folder, f"{title.replace(' ', '')}-{side}") for side in "ab")
            make(a, modules, rank, dtype, 1)
            make(b, modules, rank, dtype, 2)
            mine, with_torch, with_numpy = [], [], []
            for i in range(arguments.rounds + 1):
                rows = [ours(a, b), peer(True, a, b), peer(False, a, b)]
                for _, check in rows[1:]:
                    if not math.isclose(rows[0][1], check, rel_tol=1e-4):
                        sys.exit(f"diff_bench: {title}: {rows[0][1]} != {check}")
                if i > 0:  # The first warms up.
                    for times, (elapsed, _) in zip((mine, with_torch, with_numpy), rows):
                        times.append(elapsed)
            x, y, z = (statistics.median(times) / 1e6 for times in (mine, with_torch, with_numpy))
            record["results"].append({"title": title, "ours_ms": x, "torch_ms": y, "numpy_ms": z, "goal": goal})
            print(f"{title:24} {x:8.1f}ms {y:8.0f}ms {y / x:6.0f}x {z:8.0f}ms {z / x:6.0f}x {'' if goal is None else goal:>5}", flush=True)
            shutil.rmtree(a), shutil.rmtree(b)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
