#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares Ferrule with the safetensors package (Rust inside): see README.md beside this file.

    python safetensors_bench.py BUILD/benchmarks/safetensors_bench [--rounds N] [--json FILE]

Run it with a Python that has torch and safetensors.
"""
import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time

import safetensors
import side_by_side
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file
from side_by_side import Half, Table


def name(i):
    return f"base_model.model.model.layers.{i // 16:03d}.self_attn.m{i % 16:02d}_proj.lora_A.weight"


def tensors(count, elements):
    # Small integers: sums of them are exact in every order.
    return {name(i): (torch.arange(elements, dtype=torch.float32) % 7 + i % 5).reshape(8, -1)
            for i in range(count)}


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


def remove(path):
    if os.path.exists(path):
        os.remove(path)


def measure(table, title, goal, ours, peer, rounds, new_file):
    """Each half is (call, paths) and runs by its own clock. Each has a target of its own, so that nobody pays for
    replacing what the other one wrote."""
    (mine, my_paths), (theirs, their_paths) = ours, peer

    def before():
        for path in (my_paths[-1], their_paths[-1]) if new_file else ():
            remove(path)

    def their_turn():
        gc.collect(0)
        return theirs(*their_paths)

    table.row(title, goal, lambda: mine(*my_paths), their_turn, rounds, warm=3, before=before)


def paths(source, target, side):
    if target is None:
        return [source]
    folder = f"{target}-{side}"
    os.makedirs(folder, exist_ok=True)
    return [source, os.path.join(folder, "adapter_model.safetensors")]


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
    parser = side_by_side.arguments(__doc__, 20, "executable")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    # One thread each: with two, the peer waits for its own on a busy machine.
    torch.set_num_threads(1)
    if options.make:
        make_files(options.executable)
        return

    table = Table(options, "us", safetensors=safetensors.__version__, torch=torch.__version__)
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as folder:
        # In a process of its own: this one's heap stays as a fresh program's.
        subprocess.run([sys.executable, __file__, "--make", folder], check=True)
        half = Half(options.executable)
        for title, goal, action, peer, source, target, share, new_file in scenarios(folder):
            ours = (lambda *names, action=action: half(action, *names), paths(source, target, "ours"))
            measure(table, title, goal, ours, (peer, paths(source, target, "peer")), options.rounds * share, new_file)
    table.write()


if __name__ == "__main__":
    main()
