# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints with the real Accelerate, Trainer, Lightning, DeepSpeed (universal) and Megatron on CPUs.

    trainer_more.py FOLDER RANKS

FOLDER/KIND/ckpt is the checkpoint, FOLDER/KIND/expected the adapter that PEFT saves of the gathered weights.
"""

import os
import pathlib
import subprocess
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch_checkpoints as real
import trainer_checkpoints as trainers

os.environ.setdefault("WANDB_DISABLED", "true")


def believe_in_gpus():
    """Accelerate and Trainer leave FSDP out on CPUs: they are told of GPUs, with gloo and the device cpu."""
    import accelerate.state as state

    state.PartialState._prepare_backend = lambda self, *given, **more: ("gloo", state.DistributedType.MULTI_GPU)
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"


def reset_accelerate():
    from accelerate.state import AcceleratorState, PartialState

    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()


def accelerate_fsdp2(folder, kind):
    from accelerate import Accelerator, FullyShardedDataParallelPlugin

    reset_accelerate()
    believe_in_gpus()
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, state_dict_type=kind, auto_wrap_policy="transformer_based_wrap",
                                            transformer_cls_names_to_wrap=["LlamaDecoderLayer"])
    accelerator = Accelerator(fsdp_plugin=plugin)
    model = real.make_model(head=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model, optimizer = accelerator.prepare(model, optimizer)
    for step in range(2):
        tokens = torch.arange(8).reshape(1, 8) + step + dist.get_rank()
        accelerator.backward(model(input_ids=tokens, labels=tokens).loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.save_state(str(folder / "ckpt"))
    if kind == "SHARDED_STATE_DICT":  # A file of torch.save for each rank: of the model, and as Trainer has it of the adapter alone.
        from accelerate.utils.fsdp_utils import save_fsdp_model

        save_fsdp_model(plugin, accelerator, model, str(folder / "ranks"), use_dcp=False)
        save_fsdp_model(plugin, accelerator, model, str(folder / "adapter_ranks"), use_dcp=False, adapter_only=True)
    state = accelerator.get_state_dict(model)
    real.on_rank_0(lambda: accelerator.unwrap_model(model).save_pretrained(folder / "expected", state_dict=state))


def accelerate_steps(accelerator, folder):
    model = real.make_model(head=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    loader = torch.utils.data.DataLoader(Rows(), batch_size=1)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for _, batch in zip(range(2), loader):
        accelerator.backward(model(**batch).loss)
        optimizer.step()
        optimizer.zero_grad()
    accelerator.save_state(str(folder / "ckpt"))
    state = accelerator.get_state_dict(model)
    real.on_rank_0(lambda: accelerator.unwrap_model(model).save_pretrained(folder / "expected", state_dict=state))


def accelerate_ddp(folder):
    from accelerate import Accelerator

    accelerate_steps(Accelerator(cpu=True), folder)


def accelerate_zero3(folder):
    from accelerate import Accelerator
    from accelerate.utils import DeepSpeedPlugin

    os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    config = {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1, "zero_force_ds_cpu_optimizer": False,
              "zero_allow_untested_optimizer": True,
              "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0, "stage3_gather_16bit_weights_on_model_save": True}}
    accelerate_steps(Accelerator(deepspeed_plugin=DeepSpeedPlugin(hf_ds_config=config)), folder)


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        tokens = torch.arange(8) + index % 30
        return {"input_ids": tokens, "labels": tokens}


def trainer(folder, **arguments):
    from transformers import Trainer, TrainingArguments

    reset_accelerate()
    if "fsdp" in arguments:
        believe_in_gpus()
    given = TrainingArguments(output_dir=str(folder / "ckpt"), max_steps=4, save_steps=2, per_device_train_batch_size=1, report_to=[],
                              logging_steps=100, learning_rate=1e-2, disable_tqdm=True, **arguments)
    job = Trainer(model=real.make_model(), args=given, train_dataset=Rows())
    job.train()
    if "deepspeed" in arguments:
        import deepspeed

        model = job.model
        with deepspeed.zero.GatheredParameters(list(model.parameters())):
            state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    else:
        model = job.accelerator.unwrap_model(job.model_wrapped)
        state = job.accelerator.get_state_dict(job.model_wrapped)
    real.on_rank_0(lambda: model.save_pretrained(folder / "expected", state_dict=state))


def trainer_fsdp2(folder, kind):
    config = {"version": 2, "state_dict_type": kind, "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}
    trainer(folder, fsdp="full_shard auto_wrap", fsdp_config=config)


def trainer_zero3(folder):
    config = {**trainers.CONFIG, "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto",
              "zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0}}
    trainer(folder, deepspeed=config)


def universal(folder, stage, bf16=False):
    """DeepSpeed's own conversion of a checkpoint."""
    trainers.zero(folder / "source", stage, bf16=bf16)
    dist.barrier()
    if dist.get_rank() == 0:
        source, target = folder / "source/ckpt/global_step2", folder / "ckpt/global_step2"
        subprocess.run([sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", "--input_folder", source, "--output_folder", target,
                        "--num_extract_workers", "1", "--num_merge_workers", "1", "--inject_missing_state"], check=True,
                       env={**os.environ, "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"})
        (folder / "source/expected").rename(folder / "expected")
        (folder / "source/master").rename(folder / "master")
    dist.barrier()


def megatron(folder):
    """Megatron's torch_dist with PEFT's names; column-wise layers split lora_B over ranks, row-wise ones lora_A."""
    from megatron.core import dist_checkpointing
    from megatron.core.dist_checkpointing import ShardedTensor

    # It waits for copies from GPUs, of which there are none, and gathers through the current one.
    torch.cuda.synchronize = lambda *given: None
    torch.cuda.current_device = lambda: "cpu"
    model = real.make_model()
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    real.write_adapter(model, state, folder / "expected")
    rank, world = dist.get_rank(), dist.get_world_size()
    sharded = {}
    for name, tensor in state.items():
        row_wise = "down_proj" in name
        axis = 1 if row_wise and "lora_A" in name else 0 if not row_wise and "lora_B" in name else None
        if axis is None or tensor.shape[axis] % world:
            sharded[name] = ShardedTensor.from_rank_offsets(name, tensor, replica_id=rank)
        else:
            part = tensor.chunk(world, axis)[rank].contiguous()
            sharded[name] = ShardedTensor.from_rank_offsets(name, part, (axis, rank, world), replica_id=0)
    place = folder / "ckpt/iter_0000002"
    real.on_rank_0(lambda: place.mkdir(parents=True))
    dist_checkpointing.save({"model": sharded, "iteration": 2, "args": None}, str(place), ("torch_dist", 1))
    real.on_rank_0(lambda: (folder / "ckpt/latest_checkpointed_iteration.txt").write_text("2"))


KINDS = {
    "accelerate-sharded": lambda folder: accelerate_fsdp2(folder, "SHARDED_STATE_DICT"),
    "accelerate-full": lambda folder: accelerate_fsdp2(folder, "FULL_STATE_DICT"),
    "accelerate-ddp": accelerate_ddp,
    "accelerate-zero3": accelerate_zero3,
    "trainer-sharded": lambda folder: trainer_fsdp2(folder, "SHARDED_STATE_DICT"),
    "trainer-full": lambda folder: trainer_fsdp2(folder, "FULL_STATE_DICT"),
    "trainer-ddp": lambda folder: trainer(folder, use_cpu=True),
    "trainer-zero3": trainer_zero3,
    "universal2": lambda folder: universal(folder, 2),
    "universal3": lambda folder: universal(folder, 3),
    "universal1-bf16": lambda folder: universal(folder, 1, bf16=True),
    "megatron": megatron,
}


def run(rank, world, folder, port, kind):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world),
                      LOCAL_WORLD_SIZE=str(world))
    if "zero" in kind or "universal" in kind:
        trainers.join(rank, world, port)
    else:
        torch.set_num_threads(1)
        dist.init_process_group("gloo", rank=rank, world_size=world)
    KINDS[kind](pathlib.Path(folder) / kind)
    if dist.is_initialized():
        dist.destroy_process_group()


def lightning(folder, world):
    """Lightning starts its own processes."""
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Task(LightningModule):
        def __init__(self):
            super().__init__()
            self.model = real.make_model()

        def training_step(self, batch, index):
            return self.model(**batch).loss

        def configure_optimizers(self):
            return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=1e-2)

    task = Task()
    saves = ModelCheckpoint(dirpath=folder / "ckpt", save_top_k=-1, every_n_train_steps=2)
    job = Trainer(accelerator="cpu", devices=world, strategy="ddp_fork", max_steps=4, logger=False, enable_progress_bar=False,
                  enable_model_summary=False, callbacks=[saves])
    job.fit(task, torch.utils.data.DataLoader(Rows(), batch_size=1))
    task.model.save_pretrained(folder / "expected")


def write(folder, world, kinds=None):
    for kind in kinds or KINDS:
        mp.start_processes(run, args=(world, str(folder), real.free_port(), kind), nprocs=world, start_method="fork")
    if kinds is None:
        lightning(pathlib.Path(folder) / "lightning", world)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or None)
