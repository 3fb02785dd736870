#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` and `assemble` on models over meshes of two dimensions, in four processes of the real torch.distributed.

    rescue_meshes.py FERRULE

hsdp: FSDP2 that shards over two ranks and replicates over two. 2d: FSDP2 over tensor parallel, whose placements are strided.
"""

import os
import pathlib
import sys
import tempfile

import rescue_checks
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
import torch_checkpoints as real
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

RANKS = 4


def shard(model, mesh):
    for layer in model.base_model.model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def split_over_ranks(model, mesh):
    """As parallelize_module would: column-wise layers split lora_B, row-wise ones lora_A."""
    for path, module in model.named_modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is None:
                continue
            row_wise = "down_proj" in path
            split = 1 if row_wise and "lora_A" in path else 0 if not row_wise and "lora_B" in path or "lm_head" in path else None
            placed = distribute_tensor(parameter.data, mesh, [Replicate() if split is None else Shard(split)])
            module._parameters[name] = torch.nn.Parameter(placed, requires_grad=parameter.requires_grad)


def write(folder, kind):
    model = real.make_model(head=True)
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    real.write_adapter(model, state, folder / "expected")
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))
    if kind == "2d":
        split_over_ranks(model, mesh["inner"])
    shard(model, mesh["outer"] if kind == "2d" else mesh)
    weights = get_model_state_dict(model)
    dcp.save({"model": weights}, checkpoint_id=folder / "dcp")
    trained = get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    dcp.save(trained, storage_writer=HuggingFaceStorageWriter(folder / "hf", save_distributed=True))
    torch.save(weights, real.rank_path(folder / "ranks", "model_rank"))


def run(rank, world, folder, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    for kind in ("hsdp", "2d"):
        write(pathlib.Path(folder) / kind, kind)
    dist.destroy_process_group()


def main():
    checks = rescue_checks.Checks(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        mp.start_processes(run, args=(RANKS, place, real.free_port()), nprocs=RANKS, start_method="fork")
        for kind in ("hsdp", "2d"):
            folder = pathlib.Path(place) / kind
            config = folder / "expected/adapter_config.json"
            checks.good(folder / "dcp", folder / "expected")
            checks.good(folder / "ranks", folder / "expected", says={"world_size": RANKS})
            checks.good(folder / "hf", folder / "expected", "assemble")
            for lost in ("model_rank0.bin", "model_rank3.bin"):
                checks.refused(folder / "ranks", config, "rescue", lambda d, lost=lost: (d / lost).unlink(), "RS-5", lost)
            checks.refused(folder / "dcp", config, "rescue", lambda d: (d / "__2_0.distcp").unlink(), "RS-3", "__2_0.distcp")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
