# SPDX-License-Identifier: Apache-2.0
"""Writes checkpoints of Lightning's and Fabric's strategies, Accelerate's FSDP1, and DeepSpeed's settings, on CPUs.

    strategy_checkpoints.py FOLDER RANKS

FOLDER/KIND/ckpt is the checkpoint; expected the adapter that PEFT saves of the gathered weights; master, if there is one, of the FP32 ones.
"""

import os
import pathlib
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch_checkpoints as real
import trainer_checkpoints as trainers
import trainer_more as more
from torch.distributed.fsdp import FullyShardedDataParallel, ShardedStateDictConfig, StateDictType


def fsdp_on_cpus():
    """Strategies pass no device for FSDP on CPUs, and FSDP takes the current GPU for that."""
    given = FullyShardedDataParallel.__init__

    def init(self, *arguments, **more_arguments):
        more_arguments["device_id"] = torch.device("cpu")
        given(self, *arguments, **more_arguments)

    FullyShardedDataParallel.__init__ = init


def expect(folder, model, prefix=""):
    """`model` is wrapped by FSDP1."""
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.SHARDED_STATE_DICT, ShardedStateDictConfig()):
        state = model.state_dict()
    whole = {name.replace("_fsdp_wrapped_module.", "").removeprefix(prefix): real.gather_shard(shard) for name, shard in state.items()}
    real.write_adapter(real.make_model(any("modules_to_save" in name for name in whole)), whole, folder / "expected")


def as_torchrun(world):
    os.environ.update(TORCHELASTIC_RUN_ID="run", GROUP_RANK="0", LOCAL_WORLD_SIZE=str(world))


def lightning(folder, strategy, **settings):
    """The last of its checkpoints is the newest, whatever its name."""
    from lightning.pytorch import LightningModule, Trainer
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Task(LightningModule):
        def __init__(self):
            super().__init__()
            self.model = real.make_model(head=True)

        def training_step(self, batch, index):
            loss = self.model(**batch).loss
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=1e-2)

    world = int(os.environ["WORLD_SIZE"])
    as_torchrun(world)
    task = Task()
    saves = ModelCheckpoint(dirpath=folder / "ckpt", save_top_k=-1, every_n_train_steps=2, save_last=True, **settings)
    job = Trainer(accelerator="cpu", devices=world, strategy=strategy, max_steps=4, logger=False, enable_progress_bar=False,
                  enable_model_summary=False, callbacks=[saves])
    job.fit(task, torch.utils.data.DataLoader(more.Rows(), batch_size=1))
    return task, job


def lightning_ddp(folder):
    task, _ = lightning(folder, "ddp", save_weights_only=True, filename="{epoch}-{loss:.2f}")
    real.on_rank_0(lambda: task.model.save_pretrained(folder / "expected"))


def lightning_fsdp(folder):
    from lightning.pytorch.strategies import FSDPStrategy
    from transformers.models.llama.modeling_llama import LlamaDecoderLayer

    class OnCpus(FSDPStrategy):  # Only a class of another name is taken on CPUs.
        pass

    fsdp_on_cpus()
    _, job = lightning(folder, OnCpus(process_group_backend="gloo", state_dict_type="sharded", auto_wrap_policy={LlamaDecoderLayer}))
    expect(folder, job.strategy.model, "model.")


def lightning_zero(folder, stage):
    import lightning.pytorch.strategies.deepspeed as module

    class OnCpus(module.DeepSpeedStrategy):
        root_device = property(lambda self: torch.device("cpu", 0))

        def setup_environment(self):
            self.accelerator.setup_device(self.root_device)
            self._process_group_backend = "gloo"
            self.setup_distributed()

    module._validate_device_index_selection = lambda devices: None
    import deepspeed

    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    config = {"zero_optimization": {"stage": stage}, "zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False,
              "train_micro_batch_size_per_gpu": 1}
    task, _ = lightning(folder, OnCpus(stage=stage, process_group_backend="gloo", config=config))
    with deepspeed.zero.GatheredParameters(list(task.parameters()), enabled=stage == 3):
        state = {name: tensor.detach().clone() for name, tensor in task.model.state_dict().items()}
    real.write_adapter(task.model, state, folder / "expected")


def fabric(folder, strategy):
    from lightning.fabric import Fabric

    world = int(os.environ["WORLD_SIZE"])
    as_torchrun(world)
    job = Fabric(accelerator="cpu", devices=world, strategy=strategy)
    job.launch()
    model = job.setup_module(real.make_model(head=True))
    optimizer = job.setup_optimizers(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
    for step in range(2):
        tokens = torch.arange(8).reshape(1, 8) + step + dist.get_rank()
        job.backward(model(input_ids=tokens, labels=tokens).loss)
        optimizer.step()
        optimizer.zero_grad()
    job.save(folder / "ckpt/state.ckpt", {"model": model, "optimizer": optimizer, "step": 2})
    return model


def fabric_ddp(folder):
    model = fabric(folder, "ddp")
    state = {name.removeprefix("module."): tensor.detach().clone() for name, tensor in model.state_dict().items()}
    real.write_adapter(real.make_model(head=True), state, folder / "expected")


def fabric_fsdp(folder):
    from lightning.fabric.strategies import FSDPStrategy

    class OnCpus(FSDPStrategy):
        pass

    fsdp_on_cpus()
    model = fabric(folder, OnCpus(process_group_backend="gloo", state_dict_type="sharded", use_orig_params=True))
    expect(folder, model._forward_module)


def accelerate_fsdp1(folder, kind, flat):
    from accelerate import Accelerator, FullyShardedDataParallelPlugin
    from peft.utils.other import fsdp_auto_wrap_policy

    more.reset_accelerate()
    more.believe_in_gpus()
    fsdp_on_cpus()
    model = real.make_model()
    policy = {"auto_wrap_policy": fsdp_auto_wrap_policy(model)} if flat else {
        "auto_wrap_policy": "transformer_based_wrap", "transformer_cls_names_to_wrap": ["LlamaDecoderLayer"]}
    job = Accelerator(fsdp_plugin=FullyShardedDataParallelPlugin(fsdp_version=1, state_dict_type=kind, use_orig_params=not flat, **policy))
    model = job.prepare(model)
    optimizer = job.prepare(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
    for step in range(2):
        tokens = torch.arange(8).reshape(1, 8) + step + dist.get_rank()
        job.backward(model(input_ids=tokens, labels=tokens).loss)
        optimizer.step()
        optimizer.zero_grad()
    job.save_state(str(folder / "ckpt"))
    expect(folder, model)


def halves(model):
    """Two groups of parameters."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return [{"params": [p for name, p in trained if "lora_A" in name], "lr": 1e-2},
            {"params": [p for name, p in trained if "lora_A" not in name], "weight_decay": 0.0}]


def deepspeed_with(folder, zero, groups=None, masters=True, steps=2, **settings):
    import deepspeed

    model = real.make_model(head=True)
    parameters = groups(model) if groups else [p for p in model.parameters() if p.requires_grad]
    engine, *_ = deepspeed.initialize(model=model, model_parameters=parameters,
                                      config={**trainers.CONFIG, **settings, "zero_optimization": zero})
    for step in range(steps * engine.gradient_accumulation_steps()):
        trainers.deepspeed_step(engine, step)
    engine.save_checkpoint(str(folder / "ckpt"))
    with deepspeed.zero.GatheredParameters(list(model.parameters()), enabled=zero["stage"] == 3):
        state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        real.on_rank_0(lambda: model.save_pretrained(folder / "expected", state_dict=dict(state)))
    if masters:
        whole = {name: deepspeed.utils.safe_get_full_fp32_param(p).detach().clone() for name, p in model.named_parameters() if p.requires_grad}
        real.on_rank_0(lambda: model.save_pretrained(folder / "master", state_dict={**state, **whole}))


def with_fp16(folder, stage):
    """The first steps overflow, and are skipped."""
    from deepspeed.accelerator import get_accelerator

    type(get_accelerator()).is_fp16_supported = lambda self: True
    deepspeed_with(folder, {"stage": stage}, steps=30, fp16={"enabled": True, "initial_scale_power": 40, "loss_scale_window": 2, "hysteresis": 1})


class Routed(torch.nn.Module):
    """Two layers of four experts, two on each of two ranks."""

    def __init__(self):
        super().__init__()
        from deepspeed.moe.layer import MoE

        self.q_proj = torch.nn.Linear(8, 8)
        self.first = MoE(8, torch.nn.Sequential(torch.nn.Linear(8, 8)), num_experts=4, ep_size=2, k=1)
        self.second = MoE(8, torch.nn.Sequential(torch.nn.Linear(8, 8)), num_experts=4, ep_size=2, k=1)

    def forward(self, x):
        return self.second(self.first(self.q_proj(x))[0])[0]


def experts(folder, stage):
    """The adapter has the experts of all ranks, by their numbers in the whole model."""
    import deepspeed
    from deepspeed.moe.utils import split_params_into_different_moe_groups_for_optimizer
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file

    torch.manual_seed(5)
    model = get_peft_model(Routed(), LoraConfig(r=2, target_modules=r".*(q_proj|deepspeed_experts\.\d+\.0)"))
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for at, (name, p) in enumerate(trained):
            of_rank = "experts" in name
            p.normal_(generator=torch.Generator().manual_seed(at + 100 * of_rank * dist.get_rank()))
            if of_rank:
                p.allreduce, p.group_name = False, "ep_size_2"
    parameters = [p for _, p in trained]
    if stage:
        parameters = split_params_into_different_moe_groups_for_optimizer({"params": parameters, "name": "all"})
    engine, *_ = deepspeed.initialize(model=model, model_parameters=parameters, config={**trainers.CONFIG, "zero_optimization": {"stage": stage}})
    for step in range(2):
        engine.backward(engine(torch.ones(4, 8) * (step + 1)).pow(2).mean())
        engine.step()
    engine.save_checkpoint(str(folder / "ckpt"))

    def whole_name(name):
        head, mark, tail = name.partition("deepspeed_experts.")
        local, dot, rest = tail.partition(".")
        return f"{head}{mark}{int(local) + 2 * dist.get_rank()}{dot}{rest}" if mark else name

    own = {whole_name(name): tensor.detach().clone() for name, tensor in get_peft_model_state_dict(model).items()}
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    real.on_rank_0(lambda: model.save_pretrained(folder / "expected"))
    real.on_rank_0(lambda: save_file({name: tensor for part in reversed(parts) for name, tensor in part.items()},
                                     folder / "expected/adapter_model.safetensors"))


BF16 = {"bf16": {"enabled": True}}
OFFLOADED = {"offload_optimizer": {"device": "cpu"}, "offload_param": {"device": "cpu"}}
KINDS = {
    "lightning-ddp": lightning_ddp,
    "lightning-fsdp": lightning_fsdp,
    "lightning-zero2": lambda folder: lightning_zero(folder, 2),
    "lightning-zero3": lambda folder: lightning_zero(folder, 3),
    "fabric-ddp": fabric_ddp,
    "fabric-fsdp": fabric_fsdp,
    "accelerate-sharded1": lambda folder: accelerate_fsdp1(folder, "SHARDED_STATE_DICT", False),
    "accelerate-sharded1-flat": lambda folder: accelerate_fsdp1(folder, "SHARDED_STATE_DICT", True),
    "accelerate-local": lambda folder: accelerate_fsdp1(folder, "LOCAL_STATE_DICT", False),
    "accelerate-local-flat": lambda folder: accelerate_fsdp1(folder, "LOCAL_STATE_DICT", True),
    "zero0": lambda folder: deepspeed_with(folder, {"stage": 0}, masters=False),
    "zero0-experts": lambda folder: experts(folder, 0),
    "zero2-experts": lambda folder: experts(folder, 2),
    "zero1-accumulated": lambda folder: deepspeed_with(folder, {"stage": 1}, gradient_accumulation_steps=2, data_types={"grad_accum_dtype": "fp32"}, **BF16),
    "zero1-elastic": lambda folder: deepspeed_with(folder, {"stage": 1, "elastic_checkpoint": True}, halves),
    "zero2-groups": lambda folder: deepspeed_with(folder, {"stage": 2}, halves),
    "zero2-fp16": lambda folder: with_fp16(folder, 2),
    # safe_get_full_fp32_param returns other parameters then (findings/deepspeed_round_robin_returns_other_parameters.sh).
    "zero2-round-robin": lambda folder: deepspeed_with(folder, {"stage": 2, "round_robin_gradients": True}, masters=False),
    "zero3": lambda folder: deepspeed_with(folder, {"stage": 3}),
    "zero3-subgroups": lambda folder: deepspeed_with(folder, {"stage": 3, "sub_group_size": 100}, halves, **BF16),
    "zero3-offloaded": lambda folder: deepspeed_with(folder, {"stage": 3, **OFFLOADED}),
    "zero3-secondary": lambda folder: deepspeed_with(folder, {"stage": 3, "zero_hpz_partition_size": 2}),
    "zero3-fp16": lambda folder: with_fp16(folder, 3),
}


def run(rank, world, folder, port, kind):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world),
                      LOCAL_WORLD_SIZE=str(world), DS_ACCELERATOR="cpu")
    torch.set_num_threads(1)
    if kind.startswith("zero"):
        trainers.join(rank, world, port)
    elif kind.startswith("accelerate"):
        dist.init_process_group("gloo", rank=rank, world_size=world)
    KINDS[kind](pathlib.Path(folder) / kind)
    dist.barrier()
    dist.destroy_process_group()


def write(folder, world, kinds=None):
    for kind in kinds or KINDS:
        mp.start_processes(run, args=(world, str(folder), real.free_port(), kind), nprocs=world, start_method="fork")


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or None)
