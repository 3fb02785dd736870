#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares whole processes, from outside: see README.md beside this file.

    PYTHONPATH=BUILD/python python process_bench.py BUILD/cli/ferrule [--rounds N] [--folder DIR] [--json FILE]

Every round starts new processes. "inner" is what the peer's one call takes in its process, without the start of the
interpreter and imports; "whole" is its process. Run it with a Python that has torch and safetensors.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import safetensors
import safetensors.torch
import side_by_side
import torch
from side_by_side import Table

MIB = 1 << 20

# The clock does not run while a program gets ready: prints the nanoseconds of its last part and what it found.
TIMED = """
import sys, time
{before}
start = time.perf_counter_ns()
{call}
print(time.perf_counter_ns() - start, {found})
"""
CONVERT = TIMED.format(
    before="import torch; from safetensors.torch import save_file; torch.set_num_threads(1)",
    call="state = torch.load(sys.argv[1], map_location='cpu', weights_only=True)\n"
         "save_file({key: value.contiguous() for key, value in state.items()}, sys.argv[2], metadata={'format': 'pt'})",
    found="len(state)")
SAVE = TIMED.format(
    before="import torch; from {module} import save_file; torch.set_num_threads(1)\n"
           "import {module} as module\n"
           "tensors = {{key: value.clone() for key, value in module.load_file(sys.argv[1]).items()}}",
    call="save_file(tensors, sys.argv[2], metadata={{'format': 'pt'}})",
    found="len(tensors)")
LOAD = TIMED.format(
    before="import torch; from {module} import load_file; torch.set_num_threads(1)",
    call="total = sum(float(tensor.view(-1)[::1024].sum()) for tensor in load_file(sys.argv[1]).values())",
    found="total")


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout


def whole(*command):
    """Nanoseconds from the start of a process to its end."""
    start = time.perf_counter_ns()
    run(*command)
    return time.perf_counter_ns() - start, None


def inner(program, *arguments, **names):
    """Nanoseconds that the program says, and what it found."""
    elapsed, found = run(sys.executable, "-c", program.format(**names) if names else program, *arguments).split()
    return int(elapsed), found


def copied(source, target, over):
    """The system calls of writing a file's bytes under a name, with a reserved size: nothing else."""
    start = time.perf_counter_ns()
    temporary = target.with_suffix(".part") if over else target
    with open(source, "rb", buffering=0) as read, open(temporary, "wb", buffering=0) as write:
        os.posix_fallocate(write.fileno(), 0, os.fstat(read.fileno()).st_size)
        buffer = bytearray(MIB // 2)
        while got := read.readinto(buffer):
            write.write(memoryview(buffer)[:got])
    if over:
        os.replace(temporary, target)
    return time.perf_counter_ns() - start, None


def touched(path):
    """Reading the file into new memory, and nothing else."""
    start = time.perf_counter_ns()
    with open(path, "rb", buffering=0) as file:
        file.read()
    return time.perf_counter_ns() - start, None


def tensors(count, elements):
    return {f"base_model.model.model.layers.{i // 16:03d}.self_attn.m{i % 16:02d}_proj.lora_A.weight":
            torch.arange(elements, dtype=torch.float32) + i for i in range(count)}


def bench_convert(table, folder, ferrule):
    adapter, out = folder / "bin", folder / "out"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}')
    state = {}
    for i in range(128):
        module = f"base_model.model.model.layers.{i:03d}.self_attn.q_proj"
        state[f"{module}.lora_A.weight"] = torch.arange(41 * 1024, dtype=torch.float32).reshape(8, -1)
        state[f"{module}.lora_B.weight"] = torch.arange(41 * 1024, dtype=torch.float32).reshape(-1, 8)
    source = adapter / "adapter_model.bin"
    torch.save(state, source)
    theirs = folder / "theirs.safetensors"

    def before():
        shutil.rmtree(out, ignore_errors=True)
        for path in (theirs, folder / "raw"):
            path.unlink(missing_ok=True)

    def ours():
        return whole(ferrule, "convert", adapter, "-o", out, "--durability", "fast")

    floor = {"floor": lambda: copied(source, folder / "raw", False), "before": before}
    table.row("42 MB .bin to safetensors, whole against whole", 60, ours,
              lambda: whole(sys.executable, "-c", CONVERT, source, theirs), **floor)
    table.row("..., whole against the peer's inner time", 2.5, ours,
              lambda: (inner(CONVERT, source, theirs)[0], None), **floor)


def bench_save_file(table, folder):
    given = folder / "many.safetensors"
    safetensors.torch.save_file(tensors(25_600, 8), given)
    mine, theirs, raw = (folder / f"{who}.safetensors" for who in ("mine", "theirs", "raw"))

    def before():
        for path in (mine, theirs, raw):
            path.unlink(missing_ok=True)

    table.row("save_file of 25,600 tensors, first call", 15, lambda: inner(SAVE, given, mine, module="ferrule.torch"),
              lambda: inner(SAVE, given, theirs, module="safetensors.torch"), before=before,
              floor=lambda: copied(given, raw, False))


def bench_large(table, folder, ferrule):
    given = folder / "large.safetensors"
    safetensors.torch.save_file(tensors(256, 64 * 1024), given)
    table.row("load_file of 67 MB and touching it, first call", 1.4, lambda: inner(LOAD, given, module="ferrule.torch"),
              lambda: inner(LOAD, given, module="safetensors.torch"), floor=lambda: touched(given))
    state, old, theirs, raw = folder / "state.safetensors", folder / "old", folder / "theirs", folder / "raw"
    config = folder / "config.json"
    config.write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}')
    live = {}
    for i in range(128):
        module = f"base_model.model.model.layers.{i:03d}.self_attn.q_proj"
        live[f"{module}.lora_A.default.weight"] = torch.ones(8, 8192)
        live[f"{module}.lora_B.default.weight"] = torch.ones(8192, 8)
    safetensors.torch.save_file(live, state)
    command = (ferrule, "save", state, "-o", old, "--config", config, "--durability", "fast")
    run(*command)
    for path in (theirs, raw):
        shutil.copyfile(state, path)
    table.row("67 MB saved over an old one, whole against inner", 2.5, lambda: whole(*command),
              lambda: (inner(SAVE, state, theirs, module="safetensors.torch")[0], None),
              floor=lambda: copied(state, raw, True))


def main():
    parser = side_by_side.arguments(__doc__, 9, "ferrule")
    options = parser.parse_args()
    table = Table(options, floor=True, torch=torch.__version__, safetensors=safetensors.__version__)
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as temporary:
        folder = pathlib.Path(temporary)
        bench_convert(table, folder, options.ferrule)
        bench_save_file(table, folder)
        bench_large(table, folder, options.ferrule)
    table.write()


if __name__ == "__main__":
    main()
