#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what Ferrule does with adapters with torch, safetensors and PEFT: see README.md beside.

    python adapter_bench.py BUILD/benchmarks/adapter_bench BUILD/cli/ferrule [--rounds N] [--json FILE]

Run it with a Python that has torch, safetensors and peft.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from safetensors import safe_open
from safetensors.torch import save_file

TENSORS, ELEMENTS = 256, 41 * 1024
ADAPTERS = 10_000
CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}

# What people run today; a process of its own.
SCRIPT = """
import sys, torch
from safetensors.torch import save_file
state = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
save_file({key: value.contiguous() for key, value in state.items()}, sys.argv[2], metadata={"format": "pt"})
"""


class Ours:
    """The C++ half, alive for the whole run."""

    def __init__(self, executable):
        self.process = subprocess.Popen([executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, action, *paths):
        self.process.stdin.write(" ".join((action,) + paths) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            sys.exit(f"adapter_bench: our half failed at {action} {paths}")
        return int(answer[0]), float(answer[1])


def timed(call):
    start = time.perf_counter_ns()
    check = call()
    return time.perf_counter_ns() - start, float(check)


def make_adapter(folder, safetensors, tensors=TENSORS, elements=ELEMENTS):
    os.makedirs(folder)
    state = {}
    for i in range(tensors // 2):
        module = f"base_model.model.model.layers.{i:03d}.self_attn.q_proj"
        state[module + ".lora_A.weight"] = torch.arange(elements, dtype=torch.float32).reshape(8, -1)
        state[module + ".lora_B.weight"] = torch.arange(elements, dtype=torch.float32).reshape(-1, 8) + i
    with open(folder + "/adapter_config.json", "w", encoding="utf-8") as file:
        json.dump(CONFIG, file)
    if safetensors:
        save_file(state, folder + "/adapter_model.safetensors", metadata={"format": "pt"})
    else:
        torch.save(state, folder + "/adapter_model.bin")


def peer_convert(source, target):
    os.makedirs(target, exist_ok=True)
    state = torch.load(source + "/adapter_model.bin", map_location="cpu", weights_only=True)
    save_file({key: value.contiguous() for key, value in state.items()},
              target + "/adapter_model.safetensors", metadata={"format": "pt"})
    # The adapter's other file comes along, as it does on our side.
    shutil.copyfile(source + "/adapter_config.json", target + "/adapter_config.json")
    return len(state)


def peer_folder(folder):
    """What PEFT and safetensors offer: the config read, the header opened and every shape looked at."""
    from peft import PeftConfig

    tensors = 0
    for root, _, files in os.walk(folder):
        if "adapter_config.json" not in files:
            continue
        rank = PeftConfig.from_pretrained(root).r
        with safe_open(root + "/adapter_model.safetensors", framework="pt") as opened:
            for key in opened.keys():
                shape = opened.get_slice(key).get_shape()
                if shape[0 if "lora_A" in key else 1] != rank:
                    sys.exit(f"adapter_bench: {root}: wrong rank")
                tensors += 1
    return tensors


def command(words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return 0


def same_tensors(one, other):
    with safe_open(one, framework="pt") as a, safe_open(other, framework="pt") as b:
        return set(a.keys()) == set(b.keys()) and all(
            torch.equal(a.get_tensor(key), b.get_tensor(key)) for key in a.keys())


class Bench:
    def __init__(self, arguments, folder):
        self.folder = folder
        self.rounds = arguments.rounds
        self.only = arguments.only
        self.results = []

    def row(self, title, goal, ours, peer, rounds, before=lambda: None, warm=2):
        """Interleaved rounds; the first two warm up and do not count."""
        if self.only not in title:
            return
        mine, theirs = [], []
        for i in range(rounds + warm):
            before()
            my_time, my_check = ours()
            their_time, their_check = peer()
            if my_check != their_check:
                sys.exit(f"adapter_bench: {title}: {my_check} != {their_check}")
            if i >= warm:
                mine.append(my_time)
                theirs.append(their_time)
        a, b = statistics.median(mine), statistics.median(theirs)
        self.results.append({"title": title, "rounds": rounds, "goal": goal, "ratio": round(b / a, 2),
                             "ours_ms": {"median": a / 1e6, "min": min(mine) / 1e6, "max": max(mine) / 1e6},
                             "peer_ms": {"median": b / 1e6, "min": min(theirs) / 1e6, "max": max(theirs) / 1e6}})
        print(f"{title:52} {a / 1e6:9.2f}ms {b / 1e6:10.2f}ms {b / a:7.1f}x {goal or '':>5}   "
              f"(best of each: {min(theirs) / min(mine):.1f}x)", flush=True)


def measure(bench, arguments, ours):
    source, mine, theirs = (os.path.join(bench.folder, name) for name in ("adapter", "ours", "peer"))
    make_adapter(source, safetensors=False)

    def clean():
        for path in (mine, theirs):
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)

    for action, title, goal in (("convert_fast", "42 MB .bin converted, in process", 2.5),
                                ("convert_safe", "..., safe (the peer does not flush)", None)):
        bench.row(title, goal, lambda action=action: ours(action, source, mine),
                  lambda: timed(lambda: peer_convert(source, theirs)), bench.rounds, clean)
        if os.path.exists(mine + "/adapter_model.safetensors") and not same_tensors(
                mine + "/adapter_model.safetensors", theirs + "/adapter_model.safetensors"):
            sys.exit("adapter_bench: the two conversions differ")
    script = os.path.join(bench.folder, "convert.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT)
    few = max(3, bench.rounds // 4)
    bench.row("42 MB .bin converted, as a command", 60,
              lambda: timed(lambda: command([arguments.ferrule, "convert", source, "-o", mine, "--durability", "fast"])),
              lambda: timed(lambda: command([sys.executable, script, source + "/adapter_model.bin",
                                             theirs + "/adapter_model.safetensors"])), few, clean)
    bench.row("command start (against import peft)", 500,
              lambda: timed(lambda: command([arguments.ferrule, "--version"])),
              lambda: timed(lambda: command([sys.executable, "-c", "import peft"])), few)
    for tensors in (8, 128):
        title = f"10,000 adapters of {tensors} tensors, listed and judged"
        if bench.only not in title:
            continue
        store = os.path.join(bench.folder, f"store{tensors}")
        first = os.path.join(store, "0000")
        make_adapter(first, True, tensors=tensors, elements=16)
        for i in range(1, ADAPTERS):
            shutil.copytree(first, os.path.join(store, f"{i:04d}"))
        bench.row(title, 14, lambda store=store: ours("folder", store),
                  lambda store=store: timed(lambda: peer_folder(store)), 3, warm=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("executable")
    parser.add_argument("ferrule")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", help="where to put the files (default: a temporary folder)")
    parser.add_argument("--only", default="", help="rows whose title contains this")
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()
    import peft  # Fails here, and not in the last row, where it is missing.

    torch.set_num_threads(1)
    folder = tempfile.mkdtemp(prefix="ferrule-bench-", dir=arguments.folder)
    bench = Bench(arguments, folder)
    print(f"{'':52} {'ours':>11} {'peer':>12} {'ratio':>8} {'goal':>5}   load {os.getloadavg()[0]:.1f}")
    try:
        measure(bench, arguments, Ours(arguments.executable))
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"host": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg(),
                       "torch": torch.__version__, "peft": peft.__version__, "results": bench.results}, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
