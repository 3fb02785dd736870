# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints with the real torch.distributed (gloo) and PEFT, one folder for each way.

    write(FOLDER, RANKS)      FOLDER/KIND/...; FOLDER/expected: the adapter that PEFT saves of the gathered weights

Every process is forked after the imports, which cost more than all the rest.
"""

import os
import pathlib
import socket

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from peft import LoraConfig, get_peft_model
from peft.utils.other import fsdp_auto_wrap_policy
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, StateDictType, fully_shard
from torch.distributed.fsdp.api import LocalStateDictConfig, ShardedStateDictConfig
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from transformers import LlamaConfig, LlamaForCausalLM

RANK = 3


def make_model(head=False):
    torch.manual_seed(11)
    config = LlamaConfig(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=50
    )
    lora = LoraConfig(
        r=RANK,
        lora_alpha=6,
        target_modules=["q_proj", "v_proj", "down_proj"],
        modules_to_save=["lm_head"] if head else None,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(LlamaForCausalLM(config), lora)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    return model


def train(model, steps=2):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        tokens = torch.arange(8).reshape(1, 8) + step + dist.get_rank()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def gathered(model):
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))


def rank_path(folder, stem):
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stem}{dist.get_rank()}.bin"


def on_rank_0(action):
    if dist.get_rank() == 0:
        action()
    dist.barrier()


def write_adapter(model, state, folder):
    """What PEFT itself saves, from whole tensors."""
    on_rank_0(lambda: model.save_pretrained(folder, state_dict=state))


def fsdp2(folder, world):
    model = make_model(head=True)
    for layer in model.base_model.model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    optimizer = train(model)
    state = gathered(model)
    write_adapter(model, state, folder / "fsdp2" / "expected")
    on_rank_0(lambda: (folder / "fsdp2/full").mkdir(parents=True, exist_ok=True))
    on_rank_0(lambda: torch.save(state, folder / "fsdp2/full/pytorch_model_fsdp.bin"))
    weights, moments = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optimizer": moments}, checkpoint_id=folder / "fsdp2/nested")
    dcp.save({"model": weights}, checkpoint_id=folder / "fsdp2/trainer/checkpoint-2/pytorch_model_fsdp_0")
    dcp.save({"optimizer": moments}, checkpoint_id=folder / "fsdp2/optimizer_only")
    dcp.save({"app": {"model": weights, "optim": moments}}, checkpoint_id=folder / "fsdp2/app/step-7")
    trained = get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    dcp.save(trained, checkpoint_id=folder / "fsdp2/trainable")
    dcp.save(trained, storage_writer=HuggingFaceStorageWriter(folder / "fsdp2/hf", save_distributed=True))
    dcp.save(
        trained,
        storage_writer=HuggingFaceStorageWriter(folder / "fsdp2/hf_whole", save_distributed=True, enable_consolidation=True),
    )
    dcp.save({"model": weights, "optimizer_0": moments}, checkpoint_id=folder / "fsdp2/lightning/epoch=0-step=2.ckpt")
    dcp.save({"model": weights}, checkpoint_id=folder / "fsdp2/alone", use_collectives=False)
    as_it_is = DefaultSavePlanner(flatten_state_dict=False)
    dcp.save({"model": weights}, checkpoint_id=folder / "fsdp2/object_sharded", planner=as_it_is)
    dcp.save({"model": state}, checkpoint_id=folder / "fsdp2/object", planner=as_it_is)
    dcp.async_save({"model": weights, "step": 2}, checkpoint_id=folder / "fsdp2/async").result()
    torch.save(weights, rank_path(folder / "fsdp2/ranks", "pytorch_model_fsdp_rank"))
    verl(folder / "fsdp2/verl", weights, moments, world)
    train(model, 1)
    trained = get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    dcp.save(trained, checkpoint_id=folder / "fsdp2/next")
    frozen = {name: tensor for name, tensor in get_model_state_dict(model).items() if ".lora_" not in name}
    dcp.save({"model": {k: v for k, v in frozen.items() if "modules_to_save" not in k}}, checkpoint_id=folder / "fsdp2/base_only")


def verl(folder, weights, moments, world):
    """As verl's FSDPCheckpointManager and its trainer save: a file of each rank for each part, data.pt, and a pointer."""
    actor = folder / "global_step_10/actor"
    on_rank_0(lambda: actor.mkdir(parents=True))
    for name, part in (("model", weights), ("optim", moments), ("extra_state", {"rng": {"cpu": torch.get_rng_state()}})):
        torch.save(part, actor / f"{name}_world_size_{world}_rank_{dist.get_rank()}.pt")
    on_rank_0(lambda: torch.save({"state": 3}, folder / "global_step_10/data.pt"))
    on_rank_0(lambda: (folder / "latest_checkpointed_iteration.txt").write_text("10"))


def fsdp1(folder, world):
    model = make_model()
    sharded = FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    train(sharded)
    with FullyShardedDataParallel.state_dict_type(sharded, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig()):
        weights = sharded.state_dict()
        dcp.save({"model": weights}, checkpoint_id=folder / "fsdp1/sharded/pytorch_model_fsdp_0")
        whole = {name: shard for name, shard in weights.items()}
        state = {}
        for name, shard in whole.items():
            state[name.replace("_fsdp_wrapped_module.", "")] = gather_shard(shard)
    write_adapter(model, state, folder / "fsdp1" / "expected")
    with FullyShardedDataParallel.state_dict_type(sharded, StateDictType.LOCAL_STATE_DICT, LocalStateDictConfig()):
        local = sharded.state_dict()
    torch.save(local, rank_path(folder / "fsdp1/local", "pytorch_model_fsdp_rank"))
    torch.save({k: v for k, v in local.items() if isinstance(v, torch.Tensor) and "lora_" in k},
               rank_path(folder / "fsdp1/local_adapter", "pytorch_model_fsdp_rank"))
    torch.save(weights, rank_path(folder / "fsdp1/sharded_ranks", "pytorch_model_fsdp_0_rank"))


def fsdp1_flat(folder, world, head=False):
    """PEFT's own policy, without use_orig_params: every factor is a flat parameter of its own."""
    model = make_model(head)
    sharded = FullyShardedDataParallel(model, auto_wrap_policy=fsdp_auto_wrap_policy(model), use_orig_params=False,
                                       device_id=torch.device("cpu"))
    train(sharded)
    with FullyShardedDataParallel.state_dict_type(sharded, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig()):
        weights = sharded.state_dict()
    state = {name.replace("_fsdp_wrapped_module.", ""): gather_shard(shard) for name, shard in weights.items()}
    name = "flat_head" if head else "flat"
    write_adapter(make_model(head), state, folder / name / "expected")
    dcp.save({"model": weights}, checkpoint_id=folder / name / "sharded/pytorch_model_fsdp_0")
    with FullyShardedDataParallel.state_dict_type(sharded, StateDictType.LOCAL_STATE_DICT, LocalStateDictConfig()):
        torch.save(sharded.state_dict(), rank_path(folder / name / "local", "pytorch_model_fsdp_rank"))


def gather_shard(shard):
    if hasattr(shard, "full_tensor"):
        return shard.full_tensor()
    if not hasattr(shard, "local_shards"):
        return shard
    out = torch.empty(shard.size(), dtype=shard.dtype)
    shard.gather(0, out) if dist.get_rank() == 0 else shard.gather(0)
    dist.broadcast(out, 0)
    return out


def tensor_parallel(folder, world):
    """As parallelize_module would place them: column-wise layers split lora_B, row-wise ones lora_A."""
    model = make_model()
    mesh = init_device_mesh("cpu", (world,))
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    write_adapter(model, state, folder / "tp" / "expected")
    placed = {}
    for name, tensor in state.items():
        row_wise = "down_proj" in name
        split = 1 if row_wise and "lora_A" in name else 0 if not row_wise and "lora_B" in name else None
        placement = Replicate() if split is None else Shard(split)
        placed[name] = distribute_tensor(tensor, mesh, [placement])
    dcp.save({"model": placed}, checkpoint_id=folder / "tp/dcp")
    torch.save(placed, rank_path(folder / "tp/ranks", "model_tp_rank"))
    on_rank_0(lambda: (folder / "tp/ddp").mkdir(parents=True, exist_ok=True))
    wrapped = {"module." + name: tensor for name, tensor in state.items()}
    on_rank_0(lambda: torch.save({"model": wrapped, "step": 5, "args": pathlib.PosixPath("/x")}, folder / "tp/ddp/last.pt"))
    # Ranks that attached their adapters after the model was sharded hold unequal copies.
    unequal = {name: tensor + dist.get_rank() for name, tensor in state.items() if "lora_" in name}
    torch.save(unequal, rank_path(folder / "tp/unequal", "model_rank"))
    torch.save(state, rank_path(folder / "tp/copies", "model_rank"))
    # Torch's own wrappers in the names, and what a trainer keeps beside the weights.
    named = {"module._orig_mod." + name.replace("layers.0.", "layers.0._checkpoint_wrapped_module."): tensor for name, tensor in state.items()}
    kept = {"model_state": named, "opt_g": {"state": {"w": {"exp_avg": torch.ones(2)}, "v": {"exp_avg": torch.ones(2)}}, "param_groups": []},
            "counts": {"a": {"seen": torch.ones(1)}, "b": {"seen": torch.ones(1)}}, "global_step": 6}
    on_rank_0(lambda: (folder / "tp/wrapped").mkdir(parents=True, exist_ok=True))
    on_rank_0(lambda: torch.save(kept, folder / "tp/wrapped/last.pt"))
    sums = {name: DTensor.from_local(tensor, mesh, [Partial()]) for name, tensor in state.items()}
    torch.save(sums, rank_path(folder / "tp/partial", "model_rank"))


def run(rank, world, folder, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    for writer in (fsdp2, fsdp1, fsdp1_flat, tensor_parallel):
        writer(pathlib.Path(folder), world)
    fsdp1_flat(pathlib.Path(folder), world, head=True)
    dist.destroy_process_group()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(folder, world):
    mp.start_processes(run, args=(world, str(folder), free_port()), nprocs=world, start_method="fork")


if __name__ == "__main__":
    import sys

    write(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
