#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes the weights of a training loop into a versioned folder, beside the safetensors package: see README.md.

    python publish_bench.py BUILD/benchmarks/publish_bench [--rounds N] [--folder DIR] [--tensors N]

Run it with a Python that has safetensors and torch. It needs three times the size of the model (2 GB) in memory.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import safetensors
import side_by_side
import torch
from safetensors.torch import save_file
from side_by_side import Half, Table

ROWS, COLUMNS = 108, 512  # 18,040 of them in BF16 are 2.0 GB.


class Ours(Half):
    def __init__(self, executable, *words):
        self.process = subprocess.Popen([executable, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def model(count):
    """Every third name is tied to the one before."""
    state, last = {}, None
    for i in range(count):
        if i % 3 != 2:
            start = i * ROWS * COLUMNS
            last = torch.arange(start, start + ROWS * COLUMNS).to(torch.int16).view(torch.bfloat16).reshape(ROWS, COLUMNS)
        state[f"model.layers.{i // 8}.{i}.weight"] = last
    return state


class Peer:
    """What people write: save_file into a folder of its own, a link to it replaced, older ones removed."""

    def __init__(self, state, root):
        self.state, self.root, self.number = state, root, 0
        root.mkdir()

    def __call__(self):
        start = time.perf_counter_ns()
        self.number += 1
        folder = self.root / f"{self.number:08d}"
        folder.mkdir()
        # save_file refuses tensors that share memory.
        seen, whole = set(), {}
        for name, tensor in self.state.items():
            whole[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
            seen.add(tensor.data_ptr())
        save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
        link = self.root / "next"
        link.symlink_to(folder.name)
        os.replace(link, self.root / "current")
        old = self.root / f"{self.number - 2:08d}"
        if old.exists():
            shutil.rmtree(old)
        return time.perf_counter_ns() - start, None


def main():
    parser = side_by_side.arguments(__doc__, 5, "executable")
    parser.add_argument("--tensors", type=int, default=18_040)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = Table(options, torch=torch.__version__, safetensors=safetensors.__version__)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        work = pathlib.Path(temporary)
        ours = Ours(options.executable, options.tensors, ROWS, COLUMNS)
        peer = Peer(model(options.tensors), work / "peer")
        for title, durability, goal in (("published", "fast", 3), ("..., safe (the peer does not flush)", "safe", None)):
            table.row(f"{options.tensors:,} tensors, a third tied, {title}", goal, lambda durability=durability: ours(work / "ours", durability), peer, warm=1)
        peak, _ = ours("peak")
        print(f"memory beyond the tensors: {peak / 2**20:.1f} MiB (goal: less than 64)")
        table.record["peak_bytes"] = peak
    table.write()


if __name__ == "__main__":
    main()
