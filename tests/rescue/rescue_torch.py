#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` and `assemble` on checkpoints that the real torch.distributed writes.

    rescue_torch.py FERRULE

The truth is the adapter that PEFT saves of the gathered weights. Then each checkpoint is broken in every way that
docs/rules/RS.md refuses.
"""

import json
import pathlib
import pickle
import shutil
import sys
import tempfile

import rescue_checks
import torch
import torch_checkpoints
from safetensors import safe_open
from safetensors.torch import save_file

GOOD = [
    # checkpoint, expected, verb, what --json must say
    ("fsdp2/nested", "fsdp2", "rescue", {}),
    ("fsdp2/trainable", "fsdp2", "rescue", {}),
    ("fsdp2/trainer/checkpoint-2", "fsdp2", "rescue", {"step": 2}),
    ("fsdp2/trainer", "fsdp2", "rescue", {"step": 2}),
    ("fsdp2/trainer/checkpoint-2/pytorch_model_fsdp_0", "fsdp2", "rescue", {}),
    ("fsdp2/app", "fsdp2", "rescue", {"step": 7}),
    ("fsdp2/full", "fsdp2", "rescue", {}),
    ("fsdp2/full/pytorch_model_fsdp.bin", "fsdp2", "rescue", {}),
    ("fsdp2/ranks", "fsdp2", "rescue", {"world_size": 2}),  # DTensors: PK-23
    ("fsdp2/hf", "fsdp2", "rescue", {}),
    ("fsdp2/hf", "fsdp2", "assemble", {}),
    ("fsdp2/hf_whole", "fsdp2", "rescue", {}),
    ("fsdp2/lightning", "fsdp2", "rescue", {"step": 2}),
    ("fsdp2/alone", "fsdp2", "rescue", {}),
    ("fsdp2/object", "fsdp2", "rescue", {}),
    ("fsdp2/async", "fsdp2", "rescue", {}),
    ("fsdp2/verl", "fsdp2", "rescue", {"step": 10, "world_size": 2}),
    ("fsdp2/verl/global_step_10", "fsdp2", "rescue", {"step": 10}),
    ("fsdp2/verl/global_step_10/actor", "fsdp2", "rescue", {}),
    ("fsdp1/sharded", "fsdp1", "rescue", {}),
    ("fsdp1/local", "fsdp1", "rescue", {"world_size": 2}),
    ("fsdp1/local_adapter", "fsdp1", "rescue", {}),
    ("fsdp1/sharded_ranks", "fsdp1", "rescue", {}),
    ("flat/sharded", "flat", "rescue", {}),
    ("flat/local", "flat", "rescue", {"world_size": 2}),
    ("flat_head/sharded", "flat_head", "rescue", {}),
    ("tp/wrapped", "tp", "rescue", {"step": 6}),
    ("tp/dcp", "tp", "rescue", {}),
    ("tp/ranks", "tp", "rescue", {"world_size": 2}),
    ("tp/ddp", "tp", "rescue", {"step": 5}),
    ("tp/copies", "tp", "rescue", {}),
]

SECOND = "__1_0.distcp"
LOCAL_1 = "pytorch_model_fsdp_rank1.bin"
SHARD_1 = "shard-00001-model-00001-of-00001.safetensors"
SHARD_2 = "shard-00002-model-00001-of-00001.safetensors"


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def evil_metadata(path):
    path.write_bytes(pickle.dumps(Evil(), protocol=5))


def expand(folder):
    """A few bytes that claim to be gigabytes."""
    state = torch.load(folder / "last.pt", weights_only=False)
    state["model"] = {
        name: torch.ones(1).expand(*tensor.shape[:-1], 20_000_000) if "lora_A" in name else tensor
        for name, tensor in state["model"].items()
        if "lora_" in name
    }
    torch.save(state, folder / "last.pt")


def overlap(folder):
    """Both shards hold some of the same rows."""
    with safe_open(folder / SHARD_2, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    info = json.loads(metadata["DCP_SHARDING_INFO"])
    for name, facts in info.items():
        if "lora_B" in name:
            facts["saved_offsets"][0] //= 2
    metadata["DCP_SHARDING_INFO"] = json.dumps(info)
    save_file(tensors, folder / SHARD_2, metadata)


BROKEN = [
    # checkpoint, expected, verb, how, rule, what the message names
    ("fsdp2/trainable", "rescue", lambda d: (d / SECOND).unlink(), "RS-3", SECOND),
    ("fsdp2/trainable", "rescue", lambda d: cut(d / SECOND, 3000), "RS-3", SECOND),
    ("fsdp2/nested", "rescue", lambda d: cut(d / SECOND, -3), "RS-3", SECOND),
    ("fsdp2/trainable", "rescue", lambda d: (d / ".metadata").unlink(), "RS-3", ".metadata"),
    ("fsdp2/trainable", "rescue", lambda d: cut(d / ".metadata", 2000), "PK-1", ".metadata"),
    ("fsdp2/trainable", "rescue", lambda d: evil_metadata(d / ".metadata"), "PK-3", ".metadata"),
    ("fsdp2/trainable", "rescue", lambda d: (d / ".metadata").write_bytes(b"\x80\x02}."), "RS-2", ".metadata"),
    ("fsdp2/optimizer_only", "rescue", None, "RS-10", "no weights"),
    ("fsdp2/base_only", "rescue", None, "RS-10", "without an adapter"),
    ("fsdp2/ranks", "rescue", lambda d: (d / "pytorch_model_fsdp_rank1.bin").unlink(), "RS-5", "rank1.bin"),
    ("fsdp2/ranks", "rescue", lambda d: cut(d / "pytorch_model_fsdp_rank1.bin", -700), "TZ-", "rank1.bin"),
    ("flat/local", "rescue", lambda d: (d / LOCAL_1).unlink(), "RS-5", LOCAL_1),
    ("flat/local", "rescue", lambda d: shutil.copy(d / LOCAL_1, d / LOCAL_1.replace("1", "2")), "RS-5", "rank2.bin"),
    ("fsdp1/local", "rescue", lambda d: (d / LOCAL_1).unlink(), "RS-5", LOCAL_1),
    ("flat_head/local", "rescue", None, "RS-16", "lm_head"),
    ("fsdp2/object_sharded", "rescue", None, "RS-4", "lora_"),
    ("fsdp2/alone", "rescue", lambda d: (d / "__1.metadata").unlink(), "RS-3", "__1.metadata"),
    ("fsdp2/alone", "rescue", lambda d: [p.unlink() for p in d.glob("__1*")], "RS-4", "lora_"),
    ("tp/unequal", "rescue", None, "RS-15", "model_rank1.bin"),
    ("tp/partial", "rescue", None, "RS-16", "Partial"),
    ("tp/ddp", "rescue", expand, "RS-13", "the adapter would have"),
    ("fsdp2/hf", "assemble", overlap, "RS-4", "lora_B"),
    ("fsdp2/hf", "assemble", lambda d: (d / SHARD_1).unlink(), "RS-5", SHARD_1),
    ("fsdp2/hf", "assemble", lambda d: (d / SHARD_2).unlink(), "AD-5", "lora_A"),
    ("fsdp2/hf", "assemble", lambda d: cut(d / SHARD_2, -8), "ST-", SHARD_2),
    ("fsdp2/full", "rescue", lambda d: cut(d / "pytorch_model_fsdp.bin", 9000), "TZ-", "pytorch_model_fsdp.bin"),
    ("tp/ddp", "assemble", None, "RS-1", "no shards"),
    ("fsdp2/trainable", "rescue", lambda d: [p.unlink() for p in d.iterdir()], "RS-1", "no checkpoint"),
]


def main():
    checks = rescue_checks.Checks(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        torch_checkpoints.write(root, 2)
        for checkpoint, expected, verb, says in GOOD:
            checks.good(root / checkpoint, root / expected / "expected", verb, says)
        for checkpoint, verb, how, rule, names in BROKEN:
            config = root / checkpoint.split("/")[0] / "expected/adapter_config.json"
            checks.refused(root / checkpoint, config, verb, how, rule, names)
        checks.newest_complete(root / "fsdp2", "trainable", SECOND)
        checks.provable(root / "fsdp2/trainable", root / "fsdp2/expected/adapter_config.json")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
