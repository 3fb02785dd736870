#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The adapter out of checkpoints with a base of gigabytes: `ferrule rescue` against what there is today.

    rescue_bench.py FERRULE [--gigabytes 2] [--folder FOLDER] [--rounds 3] [--deepspeed PYTHON]

Makes, unless FOLDER has them, a DCP checkpoint with torch and a ZeRO-3 checkpoint of two ranks in DeepSpeed's form, each with
a frozen base of random BF16 values and the LoRA of a 7B model (r 16, q and v, 32 layers). Prints for each way the seconds (the
best of the rounds), the bytes that were read, and the peak memory of the process:

    ferrule       ferrule rescue
    zero_to_fp32  DeepSpeed's get_fp32_state_dict_from_zero_checkpoint, then the adapter's tensors to a file; needs an
                  interpreter with DeepSpeed (--deepspeed)
    dcp.load      the whole state with torch.distributed.checkpoint, then the adapter's tensors to a file
    dcp.load part only the adapter's tensors, by a program that knows their names and shapes

The goals: 30 times as fast as zero_to_fp32 and dcp.load, under 5 % of the bytes, under 64 MiB. Then the stall of save_shard
against writing the same bytes, if PYTHONPATH has the package. Needs torch and safetensors.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict

LAYERS, HIDDEN, RANK, RANKS = 32, 4096, 16, 2
STEP = "global_step2"
CONFIG = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"],
          "inference_mode": True}

PART = """
import sys, torch, torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemReader
from safetensors.torch import save_file
folder, out, only = sys.argv[1], sys.argv[2], sys.argv[3] == "part"
found = FileSystemReader(folder).read_metadata().state_dict_metadata
state = {name: torch.empty(one.size, dtype=one.properties.dtype) for name, one in found.items() if not only or "lora_" in name}
dcp.load(state, checkpoint_id=folder, no_dist=True)
save_file({name: tensor for name, tensor in state.items() if "lora_" in name}, out)
"""

ZERO = """
import sys
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
from safetensors.torch import save_file
state = get_fp32_state_dict_from_zero_checkpoint(sys.argv[1])
save_file({name: tensor.contiguous() for name, tensor in state.items() if "lora_" in name}, sys.argv[2])
"""


def adapter():
    import torch

    random = torch.Generator().manual_seed(1)
    tensors = OrderedDict()
    for layer in range(LAYERS):
        for module in ("q_proj", "v_proj"):
            key = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{key}.lora_A.default.weight"] = torch.randn(RANK, HIDDEN, generator=random)
            tensors[f"{key}.lora_B.default.weight"] = torch.randn(HIDDEN, RANK, generator=random)
    return tensors


def base(gigabytes):
    """BF16 tensors of 64 MiB under names of frozen weights."""
    import torch

    each = 8 * HIDDEN * HIDDEN // 4  # Elements: 2 bytes each.
    count = max(2, round(gigabytes * 2**30 / (2 * each)))
    names = [f"base_model.model.model.layers.{i // 2 % LAYERS}.self_attn.{'qv'[i % 2]}_proj.base_layer.weight" for i in range(count)]
    names = [name if i < 2 * LAYERS else f"base_model.model.model.extra.{i}.weight" for i, name in enumerate(names)]
    return OrderedDict((name, torch.randint(-2**15, 2**15, (each // HIDDEN, HIDDEN), dtype=torch.int16).view(torch.bfloat16)) for name in names)


def write_dcp(folder, gigabytes):
    import torch.distributed.checkpoint as dcp

    dcp.save({**base(gigabytes), **adapter()}, checkpoint_id=folder, no_dist=True)


def cut(tensor, rank):
    """What a rank of ZeRO-3 has: a run of the elements, padded."""
    import torch

    each = -(-tensor.numel() // RANKS)
    piece = torch.zeros(each, dtype=tensor.dtype)
    part = tensor.flatten()[rank * each : (rank + 1) * each]
    piece[: part.numel()] = part
    return piece


def write_zero3(folder, gigabytes):
    import torch

    trained, frozen = adapter(), base(gigabytes)
    shapes = [OrderedDict((name, tensor.shape) for name, tensor in trained.items())]
    (folder / STEP).mkdir(parents=True, exist_ok=True)
    for rank in range(RANKS):
        empty = OrderedDict((name, torch.empty(0, dtype=tensor.dtype)) for name, tensor in [*frozen.items(), *trained.items()])
        common = {"ds_config": {"train_batch_size": 2}, "ds_version": "0.19.8"}
        model = {"module": empty, "buffer_names": [], "optimizer": None, "param_shapes": shapes,
                 "frozen_param_shapes": OrderedDict((name, tensor.shape) for name, tensor in frozen.items()), "shared_params": {},
                 "frozen_param_fragments": OrderedDict((name, cut(tensor, rank)) for name, tensor in frozen.items()),
                 "lr_scheduler": None, "skipped_steps": 0, "global_steps": 2, "global_samples": 4, "dp_world_size": RANKS,
                 "mp_world_size": 1, **common}
        torch.save(model, folder / STEP / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
        flat = torch.cat([cut(tensor, rank) for tensor in trained.values()])
        moments = {"step": torch.tensor(2.0), "exp_avg": torch.zeros_like(flat), "exp_avg_sq": torch.zeros_like(flat)}
        optimizer = {"zero_stage": 3, "partition_count": RANKS, "fp32_flat_groups": [flat],
                     "optimizer_state_dict": {"state": {0: moments}, "param_groups": [{"params": [0]}]}}
        torch.save({"optimizer_state_dict": optimizer, **common}, folder / STEP / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    (folder / "latest").write_text(STEP)


def measured(command):
    """Seconds, peak memory in MiB, bytes that the process read."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    io = pathlib.Path(f"/proc/{process.pid}/io")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    read = int(re.search(r"rchar: (\d+)", io.read_text())[1])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024, read, out


def row(name, command, rounds, size):
    runs = [measured(command) for _ in range(rounds)]
    seconds = min(run[0] for run in runs)
    _, memory, read, out = runs[-1]
    print(f"  {name:14} {seconds:8.3f} s  {read / 1e6:9.1f} MB read ({read / size:6.1%})  {memory:7.0f} MiB", flush=True)
    return seconds, out


def compare(options, kind, folder, others):
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{kind}: {size / 1e9:.2f} GB")
    with tempfile.TemporaryDirectory() as out:
        config = pathlib.Path(out, "adapter_config.json")
        config.write_text(json.dumps(CONFIG))
        command = [options.ferrule, "rescue", folder, "-o", pathlib.Path(out, "ours"), "--config", config, "--json"]
        ours, report = row("ferrule", command, options.rounds, size)
        report = json.loads(report)
        print(f"  {'':14} says it read {report['bytes_read'] / 1e6:.1f} MB for {report['tensors']} tensors")
        for name, command in others:
            theirs, _ = row(name, [*command, pathlib.Path(out, "theirs.safetensors"), "part" if "part" in name else ""], options.rounds, size)
            print(f"  {'':14} ferrule is {theirs / ours:.0f} times as fast")


def stall(options):
    """save_shard of one rank against a plain write of its bytes to the same disk."""
    import ferrule
    import torch

    tensors = adapter()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        config = pathlib.Path(folder, "adapter_config.json")
        config.write_text(json.dumps(CONFIG))
        data = b"".join(bytes(tensor.view(torch.uint8).numpy()) for tensor in tensors.values())
        for durability in ("fast", "safe"):
            ours, plain = [], []
            for number in range(options.rounds + 1):
                start = time.perf_counter()
                ferrule.save_shard(tensors, pathlib.Path(folder, f"{durability}{number}"), rank=0, world_size=1, run_id="bench",
                                   config=ferrule.AdapterConfig.open(config), durability=durability)
                ours.append(time.perf_counter() - start)
                start = time.perf_counter()
                with open(pathlib.Path(folder, f"plain{number}"), "wb") as file:
                    file.write(data)
                    if durability == "safe":
                        os.fsync(file.fileno())
                plain.append(time.perf_counter() - start)
            print(f"save_shard {durability}: {min(ours[1:]):.3f} s for {len(data) / 1e6:.0f} MB; a plain write {min(plain[1:]):.3f} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ferrule")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--deepspeed", help="an interpreter with DeepSpeed")
    parser.add_argument("--write", choices=("dcp", "zero3"), help="only make that checkpoint in FOLDER")
    options = parser.parse_args()
    if options.write:
        return {"dcp": write_dcp, "zero3": write_zero3}[options.write](options.folder / options.write, options.gigabytes)
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = options.folder or pathlib.Path(temporary)
        options.folder.mkdir(parents=True, exist_ok=True)
        for kind in ("dcp", "zero3"):
            if not (options.folder / kind).exists():
                # In another process: a child's peak memory counts from that of its parent.
                subprocess.run([sys.executable, __file__, options.ferrule, "--write", kind, "--folder", options.folder,
                                "--gigabytes", str(options.gigabytes)], check=True)
        part = [sys.executable, "-c", PART, options.folder / "dcp"]
        compare(options, "DCP", options.folder / "dcp", [("dcp.load", part), ("dcp.load part", part)])
        zero = [("zero_to_fp32", [options.deepspeed, "-c", ZERO, options.folder / "zero3"])] if options.deepspeed else []
        compare(options, "ZeRO-3", options.folder / "zero3", zero)
        try:
            import ferrule  # noqa: F401
        except ImportError:
            print("save_shard: the package is not in PYTHONPATH")
        else:
            stall(options)


if __name__ == "__main__":
    main()
