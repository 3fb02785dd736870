# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints with the real DeepSpeed on CPUs.

    trainer_checkpoints.py FOLDER RANKS
"""

import os
import pathlib
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch_checkpoints

CONFIG = {
    "train_micro_batch_size_per_gpu": 1,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-2, "torch_adam": True}},
    "zero_force_ds_cpu_optimizer": False,
}


def deepspeed_step(engine, step):
    tokens = torch.arange(8).reshape(1, 8) + step + dist.get_rank()
    engine.backward(engine(input_ids=tokens, labels=tokens).loss)
    engine.step()


def zero(folder, stage, bf16=False, head=False):
    import deepspeed

    model = torch_checkpoints.make_model(head=head)
    config = {**CONFIG, "zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 0}}
    if bf16:
        config["bf16"] = {"enabled": True}
    engine, *_ = deepspeed.initialize(model=model, model_parameters=[p for p in model.parameters() if p.requires_grad], config=config)
    for step in range(2):
        deepspeed_step(engine, step)
    engine.save_checkpoint(str(folder / "ckpt"))
    engine.save_checkpoint(str(folder / "excluded"), exclude_frozen_parameters=True)
    with deepspeed.zero.GatheredParameters(list(model.parameters()), enabled=stage == 3):
        state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        torch_checkpoints.on_rank_0(lambda: model.save_pretrained(folder / "expected", state_dict=state))
    masters = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        get = deepspeed.utils.safe_get_full_fp32_param
        masters[name] = get(parameter).detach().clone()
    master = {**state, **masters}
    torch_checkpoints.on_rank_0(lambda: model.save_pretrained(folder / "master", state_dict=master))
    deepspeed_step(engine, 5)
    engine.save_checkpoint(str(folder / "ckpt"), tag="global_step3")


def join(rank, world, port):
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), LOCAL_SIZE=str(world),
        DS_ACCELERATOR="cpu",
    )
    torch.set_num_threads(1)
    import deepspeed

    # It would be compiled now, for a minute, and a compilation that is killed leaves a lock that all later runs wait for.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="gloo")


def run(rank, world, folder, port):
    join(rank, world, port)
    folder = pathlib.Path(folder)
    for stage in (1, 2, 3):
        zero(folder / f"zero{stage}", stage, head=stage == 2)
    zero(folder / "zero1-bf16", 1, bf16=True)
    zero(folder / "zero3-bf16", 3, bf16=True, head=True)
    dist.destroy_process_group()


def write(folder, world):
    mp.start_processes(run, args=(world, str(folder), torch_checkpoints.free_port()), nprocs=world, start_method="fork")


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
