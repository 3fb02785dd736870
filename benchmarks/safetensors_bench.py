#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Ferrule with the safetensors package (Rust inside): see README.md beside this file.

    python safetensors_bench.py BUILD/benchmarks/safetensors_bench [--rounds N] [--json FILE]

Run it with a Python that has torch and safetensors.
"""
import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file


def name(i):
    return f"base_model.model.model.layers.{i // 16:03d}.self_attn.m{i % 16:02d}_proj.lora_A.weight"


def tensors(count, elements):
    # Small integers: sums of them are exact in every order.
    return {name(i): (torch.arange(elements, dtype=torch.float32) % 7 + i % 5).reshape(8, -1)
            for i in range(count)}


class Ours:
    """The C++ half, alive for the whole run."""

    def __init__(self, executable):
        self.process = subprocess.Popen([executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def __call__(self, action, *paths):
        self.process.stdin.write(" ".join((action,) + paths) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            sys.exit(f"safetensors_bench: our half failed at {action} {paths}")
        return int(answer[0]), float(answer[1])


def peer_open(path):
    start = time.perf_counter_ns()
    opened = safe_open(path, framework="pt")
    elapsed = time.perf_counter_ns() - start
    return elapsed, float(len(opened.keys()))


def peer_touch(path):
    start = time.perf_counter_ns()
    total = sum(float(torch.sum(tensor)) for tensor in load_file(path).values())
    return time.perf_counter_ns() - start, total


def peer_load(path):
    start = time.perf_counter_ns()
    loaded = load_file(path, backend="pread")
    elapsed = time.perf_counter_ns() - start
    return elapsed, sum(float(torch.sum(tensor)) for tensor in loaded.values())


def peer_load_bytes(path):
    start = time.perf_counter_ns()
    with open(path, "rb") as file:
        loaded = load(file.read())
    elapsed = time.perf_counter_ns() - start
    return elapsed, sum(float(torch.sum(tensor)) for tensor in loaded.values())


class PeerSave:
    def __init__(self, durable):
        self.durable = durable
        self.path = None

    def __call__(self, source, target):
        if self.path != source:
            # Clones: the tensors stand in private memory, as ours do.
            self.state = {key: value.clone() for key, value in load_file(source).items()}
            self.path = source
        start = time.perf_counter_ns()
        save_file(self.state, target, metadata={"format": "pt"})
        if self.durable:
            for path in (target, os.path.dirname(target)):
                descriptor = os.open(path, os.O_RDONLY)
                os.fsync(descriptor)
                os.close(descriptor)
        return time.perf_counter_ns() - start, float(os.path.getsize(target))


def measure(ours, action, peer, source, target, rounds, new_file):
    """Interleaved rounds, each half by its own clock; the first three warm up and do not count. Each
    half has a target of its own, so that nobody pays for replacing what the other one wrote."""
    my_paths, their_paths = [source], [source]
    if target:
        my_paths.append(target + "-ours/adapter_model.safetensors")
        their_paths.append(target + "-peer/adapter_model.safetensors")
        for path in (my_paths[-1], their_paths[-1]):
            os.makedirs(os.path.dirname(path), exist_ok=True)
    mine, theirs = [], []
    for i in range(rounds + 3):
        for path in (my_paths[-1], their_paths[-1]) if new_file else ():
            remove(path)
        my_time, my_check = ours(action, *my_paths)
        gc.collect(0)
        their_time, their_check = peer(*their_paths)
        if my_check != their_check:
            sys.exit(f"safetensors_bench: {action} {source}: {my_check} != {their_check}")
        if i >= 3:
            mine.append(my_time)
            theirs.append(their_time)
    return mine, theirs


def remove(path):
    if os.path.exists(path):
        os.remove(path)


FILES = {"256": (256, 16), "25600": (25600, 8), "42MB": (256, 41 * 1024), "small": (256, 512)}


def make_files(folder):
    for file, (count, elements) in FILES.items():
        save_file(tensors(count, elements), os.path.join(folder, file), metadata={"format": "pt"})


def scenarios(folder):
    """(title, goal or None, our action, peer, source, target or None, rounds, new file): rounds in
    units of --rounds."""
    few, many, adapter, small = (os.path.join(folder, file) for file in FILES)
    out = os.path.join(folder, "out")
    saver, durable = PeerSave(False), PeerSave(True)
    return [
        ("header of 256 tensors", 10, "open", peer_open, few, None, 10, False),
        ("header of 256 tensors, 42 MB behind it", None, "open", peer_open, adapter, None, 10, False),
        ("header of 25,600 tensors", 12, "open", peer_open, many, None, 1, False),
        ("42 MB opened and touched", 1.4, "touch", peer_touch, adapter, None, 2, False),
        ("42 MB loaded into private memory", 5, "load", peer_load, adapter, None, 2, False),
        ("42 MB loaded into private memory, from bytes", None, "load", peer_load_bytes, adapter, None,
         2, False),
        ("42 MB saved new", 1.7, "save_fast", saver, adapter, out, 1, True),
        ("42 MB saved new, safe (the peer does not flush)", None, "save_safe", saver,
         adapter, out, 1, True),
        ("42 MB saved over an old one", 2.5, "save_fast", saver, adapter, out, 1, False),
        ("42 MB saved durable", 1.5, "save_full", durable, adapter, out, 1, False),
        ("256 tensors of 2 KB saved new", 2.2, "save_fast", saver, small, out, 5, True),
        ("256 tensors of 2 KB loaded into private memory", None, "load", peer_load, small, None,
         5, False),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("executable")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", help="where to put the files (default: a temporary folder)")
    parser.add_argument("--only", default="", help="scenarios whose title contains this")
    parser.add_argument("--json", help="also write the figures here")
    arguments = parser.parse_args()
    # One thread each: with two, the peer waits for its own on a busy machine.
    torch.set_num_threads(1)
    if arguments.make:
        make_files(arguments.executable)
        return

    folder = tempfile.mkdtemp(prefix="ferrule-bench-", dir=arguments.folder)
    record = {"host": platform.platform(), "cpus": os.cpu_count(),
              "safetensors": safetensors.__version__, "torch": torch.__version__,
              "python": platform.python_version(), "results": []}
    print(f"{'':50} {'ours':>11} {'peer':>11} {'ratio':>7} {'goal':>5}")
    try:
        # In a process of its own: this one's heap stays as a fresh program's.
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        ours = Ours(arguments.executable)
        for title, goal, action, peer, source, target, share, new_file in scenarios(folder):
            if arguments.only not in title:
                continue
            rounds = arguments.rounds * share
            mine, theirs = measure(ours, action, peer, source, target, rounds, new_file)
            a, b = statistics.median(mine), statistics.median(theirs)
            record["results"].append({
                "title": title, "rounds": rounds, "goal": goal, "ratio": round(b / a, 2),
                "ours_us": {"median": a / 1e3, "min": min(mine) / 1e3, "max": max(mine) / 1e3},
                "peer_us": {"median": b / 1e3, "min": min(theirs) / 1e3, "max": max(theirs) / 1e3}})
            print(f"{title:50} {a / 1e3:9.1f}us {b / 1e3:9.1f}us {b / a:6.1f}x "
                  f"{'' if goal is None else goal:>5}", flush=True)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
