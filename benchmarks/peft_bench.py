#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a training stands still while an adapter is saved: PEFT's save_pretrained beside Ferrule's.

    PYTHONPATH=build/release/python .venv/bin/python benchmarks/peft_bench.py [--rounds N] [--folder DIR]

The adapter is that of a 7B model: 32 layers, rank 16 on q, k, v and o, 256 tensors, 67 MB of float32; the base has
the modules of such a model and no memory. Both save the same model into the same file system, warm, in turns; the
table gives medians. The bytes of every save are compared. "durability" is what Ferrule flushes: PEFT flushes
nothing, so "fast" is its equal and "safe", the default, does more.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

try:
    import peft
    import torch
    import transformers
except ImportError as missing:
    sys.exit(f"the peer is missing: {missing}; install tools/requirements-test.txt")

import ferrule.peft

FILES = ("adapter_model.safetensors", "adapter_config.json")


def make_model():
    config = transformers.LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
                                      num_attention_heads=32, num_key_value_heads=32, vocab_size=32000)
    with torch.device("meta"):
        base = transformers.LlamaForCausalLM(config)
    # One target: a set of several has an order of its own in every process of PEFT's.
    lora = peft.LoraConfig(r=16, target_modules=r".*\.self_attn\.(q|k|v|o)_proj", task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, lora, low_cpu_mem_usage=True)
    for module in model.modules():
        for side in ("lora_A", "lora_B"):
            for linear in getattr(module, side, {}).values():
                linear.weight = torch.nn.Parameter(torch.randn(linear.weight.shape))
    return model


class Saver:
    """One way to save: how long its caller stood still, each time, and how long until the files were there."""

    def __init__(self, name, folder, save):
        self.name, self.folder, self.save = name, folder / name.replace(" ", "_"), save
        self.stalls, self.wholes = [], []

    def run(self, record):
        start = time.perf_counter()
        pending = self.save(self.folder)
        stalled = time.perf_counter() - start
        if pending is not None:
            pending.wait()
        if record:
            self.stalls.append(stalled * 1e3)
            self.wholes.append((time.perf_counter() - start) * 1e3)

    def bytes(self):
        return [(self.folder / name).read_bytes() for name in FILES]


def savers_of(model, folder):
    save = ferrule.peft.save_pretrained
    return [
        Saver("PEFT", folder, lambda path: model.save_pretrained(path)),
        Saver("Ferrule fast", folder, lambda path: save(model, path, durability="fast")),
        Saver("Ferrule safe", folder, lambda path: save(model, path)),
        Saver("Ferrule asynchronous", folder, lambda path: save(model, path, asynchronous=True)),
    ]


def floor(model):
    """The copy alone, into memory that is there already: no snapshot can stall for less."""
    tensors = [value for name, value in model.named_parameters() if ".lora_" in name]
    places = [torch.empty_like(tensor) for tensor in tensors]
    times = []
    for _ in range(9):
        start = time.perf_counter()
        with torch.no_grad():
            for place, tensor in zip(places, tensors):
                place.copy_(tensor)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to save; a memory file system shows the work, a disk the disk")
    parser.add_argument("--enforce", action="store_true", help="fail where the promised ratios are not met")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    root = Path(tempfile.mkdtemp(dir=arguments.folder or ("/dev/shm" if Path("/dev/shm").is_dir() else None)))
    try:
        model = make_model()
        savers = savers_of(model, root)
        for turn in range(arguments.rounds + 2):
            for saver in savers:
                saver.run(record=turn >= 2)
        for saver in savers[1:]:
            if saver.bytes() != savers[0].bytes():
                sys.exit(f"{saver.name} did not write PEFT's bytes")
        report(savers, floor(model), root, arguments.enforce)
    finally:
        shutil.rmtree(root)


def report(savers, copy, root, enforce):
    size = sum(len(data) for data in savers[0].bytes())
    print(f"PEFT {peft.__version__}, torch {torch.__version__}, {size / 1e6:.1f} MB, {root}, "
          f"medians of {len(savers[0].stalls)}, ms")
    print(f"{'':24}{'stall':>9}{'(min':>9}{'max)':>9}{'whole':>9}{'PEFT / it':>11}")
    medians = {saver.name: statistics.median(saver.stalls) for saver in savers}
    for saver in savers:
        print(f"{saver.name:24}{medians[saver.name]:9.2f}{min(saver.stalls):9.2f}{max(saver.stalls):9.2f}"
              f"{statistics.median(saver.wholes):9.2f}{medians['PEFT'] / medians[saver.name]:10.1f}x")
    print(f"{'(copying the tensors)':24}{copy:9.2f}")
    synchronous = medians["PEFT"] / medians["Ferrule safe"]
    stall = medians["PEFT"] / medians["Ferrule asynchronous"]
    if enforce and (synchronous < 1.4 or stall < 8):
        sys.exit(f"promised are 1.4x and 8x, found {synchronous:.2f}x and {stall:.1f}x")


if __name__ == "__main__":
    main()
