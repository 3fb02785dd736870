#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what Ferrule does with adapters with torch, safetensors and PEFT: see README.md beside.

    python adapter_bench.py BUILD/benchmarks/adapter_bench BUILD/cli/ferrule [--rounds N] [--json FILE]

Run it with a Python that has torch, safetensors and peft.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import side_by_side
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from side_by_side import Half, Table, timed

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


def write_config(folder, **fields):
    with open(folder + "/adapter_config.json", "w", encoding="utf-8") as file:
        json.dump({**CONFIG, **fields}, file)


def make_adapter(folder, safetensors, tensors=TENSORS, elements=ELEMENTS):
    os.makedirs(folder)
    state = {}
    for i in range(tensors // 2):
        module = f"base_model.model.model.layers.{i:03d}.self_attn.q_proj"
        state[module + ".lora_A.weight"] = torch.arange(elements, dtype=torch.float32).reshape(8, -1)
        state[module + ".lora_B.weight"] = torch.arange(elements, dtype=torch.float32).reshape(-1, 8) + i
    write_config(folder)
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


def measure(table, options, folder, ours):
    source, mine, theirs = (os.path.join(folder, name) for name in ("adapter", "ours", "peer"))
    make_adapter(source, safetensors=False)

    def clean():
        for path in (mine, theirs):
            shutil.rmtree(path, ignore_errors=True)
            os.makedirs(path)

    for action, title, goal in (("convert_fast", "42 MB .bin converted, in process", 2.5),
                                ("convert_safe", "..., safe (the peer does not flush)", None)):
        table.row(title, goal, lambda action=action: ours(action, source, mine),
                  lambda: timed(peer_convert, source, theirs), before=clean)
        if os.path.exists(mine + "/adapter_model.safetensors") and not same_tensors(
                mine + "/adapter_model.safetensors", theirs + "/adapter_model.safetensors"):
            sys.exit("adapter_bench: the two conversions differ")
    script = os.path.join(folder, "convert.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(SCRIPT)
    few = max(3, options.rounds // 4)
    table.row("42 MB .bin converted, as a command", 60,
              lambda: timed(command, [options.ferrule, "convert", source, "-o", mine, "--durability", "fast"]),
              lambda: timed(command, [sys.executable, script, source + "/adapter_model.bin",
                                      theirs + "/adapter_model.safetensors"]), few, before=clean)
    table.row("command start (against import peft)", 500, lambda: timed(command, [options.ferrule, "--version"]),
              lambda: timed(command, [sys.executable, "-c", "import peft"]), few)
    for tensors, different in ((8, False), (8, True), (128, False)):
        measure_store(table, options, folder, ours, tensors, different)


def measure_store(table, options, folder, ours, tensors, different):
    """10,000 adapters, all at first and again after ten of them were written."""
    what = f"10,000 {'different ' if different else ''}adapters of {tensors} tensors"
    again = f"{what}, again after a change of ten"
    if options.only not in f"{what}, listed and verified" and options.only not in again:
        return
    store = os.path.join(folder, f"store{tensors}{different}")
    first = os.path.join(store, "0000")
    make_adapter(first, True, tensors=tensors, elements=16)
    for i in range(1, ADAPTERS):
        target = os.path.join(store, f"{i:04d}")
        shutil.copytree(first, target)
        if different:
            write_config(target, base_model_name_or_path=f"base/{i}")
    table.row(f"{what}, listed and verified", 14, lambda: ours("folder", store), lambda: timed(peer_folder, store), 3,
              floor=lambda: (ours("floor", store)[0], None), warm=1)
    memo = os.path.join(folder, "memo")

    def change_ten():
        for i in range(0, ADAPTERS, ADAPTERS // 10):
            write_config(os.path.join(store, f"{i:04d}"), base_model_name_or_path="changed")

    table.row(again, 60, lambda: ours("folder", store, memo), lambda: timed(peer_folder, store), 3, warm=2,
              floor=lambda: (ours("floor_memo", store)[0], None), before=change_ten)
    os.unlink(memo)
    shutil.rmtree(store)


def main():
    options = side_by_side.arguments(__doc__, 20, "executable", "ferrule").parse_args()
    import peft  # Fails here, and not in the last row, where it is missing.

    torch.set_num_threads(1)
    table = Table(options, floor=True, torch=torch.__version__, peft=peft.__version__)
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as folder:
        measure(table, options, folder, Half(options.executable))
    table.write()


if __name__ == "__main__":
    main()
