#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `diff` with a script that forms the products: see README.md beside this file.

    python diff_bench.py BUILD/benchmarks/diff_bench [--rounds N] [--json FILE]

Run it with a Python that has torch, numpy and safetensors.
"""
import functools
import json
import math
import os
import statistics
import tempfile
import time

import numpy
import side_by_side
import torch
from safetensors.torch import load_file, save_file
from side_by_side import Half

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


# (title, modules, rank, dtype, goal): 42 MB each.
SCENARIOS = [("r 16, F32", 80, 16, torch.float32, 50), ("r 16, BF16", 160, 16, torch.bfloat16, None),
             ("r 64, F32", 20, 64, torch.float32, None)]


def main():
    options = side_by_side.arguments(__doc__, 5, "executable").parse_args()
    record = side_by_side.record_of(torch=torch.__version__, numpy=numpy.__version__)
    print(f"{'two adapters of 42 MB':24} {'ours':>10} {'torch':>10} {'ratio':>7} {'numpy':>10} {'ratio':>7} {'goal':>5}")
    half = Half(options.executable)
    for title, modules, rank, dtype, goal in SCENARIOS:
        if options.only not in title:
            continue
        with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as folder:
            a, b = (os.path.join(folder, side) for side in "ab")
            make(a, modules, rank, dtype, 1)
            make(b, modules, rank, dtype, 2)
            sides = [lambda: half(a, b), lambda: peer(True, a, b), lambda: peer(False, a, b)]
            times = side_by_side.in_turns(title, sides, options.rounds, warm=1, same=functools.partial(math.isclose, rel_tol=1e-4))
        x, y, z = (statistics.median(side) / 1e6 for side in times)
        record["results"].append({"title": title, "ours_ms": x, "torch_ms": y, "numpy_ms": z, "goal": goal})
        print(f"{title:24} {x:8.1f}ms {y:8.0f}ms {y / x:6.0f}x {z:8.0f}ms {z / x:6.0f}x {'' if goal is None else goal:>5}", flush=True)
    side_by_side.write(options.json, record)


if __name__ == "__main__":
    main()
