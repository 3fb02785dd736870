#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs an engine to admit an adapter of 7B shapes through the C interface: see README.md.

    python admission_bench.py BUILD/benchmarks/admission_bench [--rounds N] [--folder DIR]

Run it with a Python that has safetensors, torch, transformers and peft. The files are sparse: headers of the real sizes,
no weights.
"""
import json
import math
import pathlib
import tempfile
import time

import check_bench
import peft
import side_by_side
import torch
import transformers
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from safetensors import safe_open
from side_by_side import Half, Table

MAX_BYTES = 200_000
WARM = 2


def peer(base, adapter):
    """The config by PEFT, names and shapes by safetensors; every pair compared with the config and with the base."""
    start = time.perf_counter_ns()
    raw = json.loads((adapter / "adapter_config.json").read_text())
    config = peft.PeftConfig.from_pretrained(adapter)
    assert raw["peft_type"] == config.peft_type
    with safe_open(adapter / "adapter_model.safetensors", "pt") as file:
        tensors = {name: file.get_slice(name) for name in file.keys()}
        shapes = {name: (tensor.get_shape(), tensor.get_dtype()) for name, tensor in tensors.items()}
    found = 0.0
    for name, (a, _) in shapes.items():
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        b, _ = shapes[name.replace("lora_A", "lora_B")]
        rank = config.rank_pattern.get(get_pattern_key(config.rank_pattern.keys(), module), config.r)
        alpha = config.alpha_pattern.get(get_pattern_key(config.alpha_pattern.keys(), module), config.lora_alpha)
        assert a[0] == b[1] == rank and [b[0], a[1]] == base[module + ".weight"]
        assert check_target_module_exists(config, module)
        strength = alpha / math.sqrt(rank) if config.use_rslora else alpha / rank
        found += strength + a[0] + b[0]
    return time.perf_counter_ns() - start, found


def unlike(half, base, shapes, work, rounds):
    """Both sides on adapters of which no two have the same header: nothing of one is known from another."""
    folders = []
    for i in range(rounds + WARM):
        folders.append(work / f"rank{check_bench.RANK + i + 1}")
        check_bench.make_adapter(folders[-1], list(check_bench.PROJECTIONS), check_bench.RANK + i + 1)
    ours, theirs = iter(folders), iter(folders)
    return lambda: half("verify_and_admit", base, next(ours)), lambda: peer(shapes, next(theirs))


def main():
    options = side_by_side.arguments(__doc__, 30, "executable").parse_args()
    transformers.logging.set_verbosity_error()
    table = Table(options, unit="us", torch=torch.__version__, peft=peft.__version__)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        work = pathlib.Path(temporary)
        base, adapter = work / "base", work / "adapter"
        check_bench.make_base(base)
        check_bench.make_adapter(adapter, list(check_bench.PROJECTIONS))
        shapes = check_bench.shapes_of(sorted(base.glob("*.safetensors")))
        half = Half(options.executable)
        few = max(2, options.rounds // 10)
        for title, action in (("open, check, take over 224 modules", "admit"), ("..., verified first", "verify_and_admit")):
            table.row(title, 100, lambda action=action: half(action, base, adapter), lambda: peer(shapes, adapter))
        table.row("..., each of another rank", None, *unlike(half, base, shapes, work, few), few, warm=WARM, same=math.isclose)
        table.row("the same, PEFT itself on meta", None, lambda: half("verify_and_admit", base, adapter),
                  lambda: (check_bench.peer_peft(base, adapter)[0], None), few, warm=1)
        held, _ = half("memory", base, adapter)
        print(f"an admitted adapter holds {held:,} bytes of heap (goal: fewer than {MAX_BYTES:,})")
        table.record["held_bytes"] = held
    table.write()


if __name__ == "__main__":
    main()
