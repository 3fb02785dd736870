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

import mutations as mutation_table
import rescue_checks
import torch
import torch_checkpoints
from safetensors import safe_open
from safetensors.torch import load_file, save_file

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


def edit(path, change):
    state = torch.load(path, weights_only=False)
    change(state)
    torch.save(state, path)


def empty_in_metadata(path):
    """A tensor of which no rank has a row."""
    with open(path, "rb") as file:
        metadata = pickle.load(file)
    name = next(name for name in metadata.state_dict_metadata if "lora_A" in name and "exp_avg" not in name)
    found = metadata.state_dict_metadata[name]
    found.size, found.chunks = torch.Size([0, found.size[1]]), []
    path.write_bytes(pickle.dumps(metadata))


def empty_in_safetensors(path):
    tensors, metadata = {}, None
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    save_file({name: tensor[:0] if "lora_A" in name else tensor for name, tensor in tensors.items()}, path, metadata)


def first_adapter(state):
    return next(name for name in state if "lora_A" in name)


def without_adapter(state):
    for name in [name for name in state if "lora_" in name or "modules_to_save" in name]:
        state.pop(name)


def only_optimizer(state):
    state.clear()
    state.update({"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 1.0}]})


def mutations(root):
    """Every way of docs/rules/RS.md for every kind that the writer makes."""
    full, rank = "pytorch_model_fsdp.bin", "pytorch_model_fsdp_rank1.bin"
    nested, one_file = root / "fsdp2/nested", "it is one file, written by one rank at one step"
    dcp = {
        "missing file": (lambda d: (d / SECOND).unlink(), "RS-3", SECOND),
        "cut file": (lambda d: cut(d / SECOND, -3), "RS-3", SECOND),
        "mixed steps": mutation_table.Noted(lambda d: shutil.copy(root / "fsdp2/next" / SECOND, d)),
        "wrong world": (lambda d: shutil.copy(nested / ".metadata", d), "RS-3", ".distcp"),
        "empty tensor": (lambda d: empty_in_metadata(d / ".metadata"), "AD-", "lora_A"),
        "another run": (lambda d: shutil.copy(nested / SECOND, d), "RS-3", SECOND),
        "optimizer alone": ((root / "fsdp2/optimizer_only", None), "RS-10", "no weights"),
        "no adapter": ((root / "fsdp2/base_only", None), "RS-10", "without an adapter"),
    }

    def of_ranks(step, file):
        return {
            "missing file": (lambda d: (d / file).unlink(), "RS-5", file),
            "cut file": (lambda d: cut(d / file, -700), "TZ-", file),
            "mixed steps": step,
            "wrong world": (lambda d: shutil.copy(d / file, d / file.replace("1.", "2.")), "RS-5", "rank"),
            "empty tensor": "torch refuses to read a rank's part of a tensor alone, so it cannot be edited",
            "another run": "nothing in it names its run: noted as mixed steps are",
            "optimizer alone": (lambda d: [torch.save({"state": {}, "param_groups": []}, p) for p in d.glob("*.bin")], "RS-10", "optimizer"),
            "no adapter": (lambda d: [torch.save({"a.weight": torch.ones(2, 2)}, p) for p in d.glob("*.bin")], "RS-10", "without an adapter"),
        }

    def of_one_file(name):
        return {
            "missing file": (lambda d: (d / name).unlink(), "RS-1", "no adapter"),
            "cut file": (lambda d: cut(d / name, 9000), "TZ-", name),
            "mixed steps": one_file,
            "wrong world": one_file,
            "empty tensor": (lambda d: edit(d / name, lambda s: s.update({first_adapter(s): torch.empty(0)})), "AD-", "lora_A"),
            "another run": one_file,
            "optimizer alone": (lambda d: edit(d / name, only_optimizer), "RS-10", "no weights"),
            "no adapter": (lambda d: edit(d / name, without_adapter), "RS-10", "without an adapter"),
        }

    of_shards = {
        "missing file": (lambda d: (d / SHARD_1).unlink(), "RS-5", SHARD_1),
        "cut file": (lambda d: cut(d / SHARD_2, -8), "ST-", SHARD_2),
        "mixed steps": mutation_table.Noted(lambda d: None),
        "wrong world": (lambda d: shutil.copy(d / SHARD_1, d / SHARD_1.replace("00001", "00003", 1)), "RS-4", "two pieces"),
        "empty tensor": (lambda d: [empty_in_safetensors(d / name) for name in (SHARD_1, SHARD_2)], "AD-", "lora_A"),
        "another run": "nothing in it names its run: noted as mixed steps are",
        "optimizer alone": (lambda d: [save_file({"state.a.exp_avg": torch.ones(2)}, p) for p in d.iterdir()], "RS-10", "without an adapter"),
        "no adapter": (lambda d: [save_file({"a.weight": torch.ones(2, 2)}, p) for p in d.iterdir()], "RS-10", "without an adapter"),
    }
    kept = mutation_table.Noted(lambda d: None)
    return {
        "fsdp2/trainable": dcp,
        "fsdp2/full": of_one_file(full),
        "fsdp2/ranks": of_ranks(kept, rank),
        "fsdp1/sharded_ranks": of_ranks(kept, "pytorch_model_fsdp_0_rank1.bin"),
        "fsdp1/local": of_ranks(kept, rank),
        "flat/local": of_ranks(kept, rank),
        "fsdp2/hf": of_shards,
    }


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
        mutation_table.run(checks, root, mutations(root), lambda kind: root / kind.split("/")[0] / "expected/adapter_config.json")
        # What the trainer saved at last is empty, as PEFT leaves it of FSDP1: its steps are whole.
        save_file({}, root / "fsdp2/trainer/adapter_model.safetensors")
        checks.good(root / "fsdp2/trainer", root / "fsdp2/expected", says={"step": 2})
        # RS-12: nothing but the other layers says that this one lost a module.
        (root / "uneven").mkdir()
        whole = load_file(root / "fsdp2/expected/adapter_model.safetensors")
        rest = {name: tensor for name, tensor in whole.items() if "layers.0.self_attn.q_proj" not in name}
        save_file(rest, root / "uneven/adapter_model.safetensors")
        checks.warned(root / "uneven", root / "fsdp2/expected/adapter_config.json", "RS-12", "layers.0.self_attn.q_proj")
        checks.newest_complete(root / "fsdp2", "trainable", SECOND)
        checks.provable(root / "fsdp2/trainable", root / "fsdp2/expected/adapter_config.json")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
