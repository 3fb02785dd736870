# SPDX-License-Identifier: Apache-2.0
"""save_pretrained() in processes of the real torch.distributed: the truth is what PEFT saves of the gathered weights."""

import json
import os
import pathlib
import sys

import ferrule
import ferrule.peft
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file
from peft.utils.other import fsdp_auto_wrap_policy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "rescue"))
import torch_checkpoints as real  # noqa: E402

RANKS = 3  # More than rows that can be divided: one rank has less, or nothing.


def failure(call):
    try:
        call()
    except ferrule.Error as error:
        return error
    return None


def two_level_model():
    model = real.make_model(head=True)
    for layer in model.base_model.model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    real.train(model)
    return model


def fsdp2(folder, rank):
    model = two_level_model()
    ferrule.peft.save_pretrained(model, folder / "all")
    # All ranks return after the files are there.
    assert (folder / "all" / "adapter_model.safetensors").exists()
    real.write_adapter(model, real.gathered(model), folder / "expected2")
    ferrule.peft.save_pretrained(model, folder / "main", is_main_process=rank == 1)
    pending = ferrule.peft.save_pretrained(model, folder / "later", asynchronous=True)
    pending.wait()
    sharded = get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    ferrule.peft.save_pretrained(model, folder / "state", state_dict=sharded)
    with torch.no_grad():
        model(input_ids=torch.arange(8).reshape(1, 8))  # Leaves the root unsharded.
    ferrule.peft.save_pretrained(model, folder / "evaluated")


def alone(folder, rank):
    """Only one rank calls: an error with the others' names, and the next save is in step again."""
    model = two_level_model()
    if rank == 0:
        error = failure(lambda: ferrule.peft.save_pretrained(model, folder / "alone0", rank_timeout=0.2))
        assert isinstance(error, ferrule.InvalidArgumentError) and "rank 1, 2 did not call" in str(error)
    dist.barrier()
    if rank == 2:
        error = failure(lambda: ferrule.peft.save_pretrained(model, folder / "alone2", rank_timeout=0.2))
        assert isinstance(error, ferrule.InvalidArgumentError) and "rank 0 did not call" in str(error)
    dist.barrier()
    ferrule.peft.save_pretrained(model, folder / "together")
    different = failure(lambda: ferrule.peft.save_pretrained(model, folder / f"other{rank == 2}"))
    assert "rank 2 would save other tensors" in str(different), different
    unwritable = failure(lambda: ferrule.peft.save_pretrained(model, "/proc/no/such/place"))
    assert unwritable is not None and (rank == 0 or "rank 0 could not write" in str(unwritable))
    ferrule.peft.save_pretrained(model, folder / "together")


def fsdp1(folder, rank):
    for is_original in (True, False):  # The factors are wrapped on their own, as PEFT's policy has it.
        model = real.make_model()
        nested = FullyShardedDataParallel(model, auto_wrap_policy=fsdp_auto_wrap_policy(model), use_orig_params=is_original,
                                          device_id=torch.device("cpu"))
        real.train(nested)
        ferrule.peft.save_pretrained(nested, folder / f"nested{is_original}")
        with FullyShardedDataParallel.summon_full_params(nested):
            whole = {name.replace("_fsdp_wrapped_module.", ""): tensor.detach().clone() for name, tensor in nested.named_parameters()}
        plain = real.make_model()
        state = {**plain.state_dict(), **{name: tensor for name, tensor in whole.items() if "lora_" in name}}
        real.write_adapter(plain, state, folder / f"expected{is_original}")
    flat = FullyShardedDataParallel(real.make_model(), use_orig_params=True, device_id=torch.device("cpu"))
    real.train(flat)
    ferrule.peft.save_pretrained(flat, folder / "flat")
    with FullyShardedDataParallel.summon_full_params(flat):
        whole = {name.replace("_fsdp_wrapped_module.", ""): tensor.detach().clone() for name, tensor in flat.named_parameters()}
    real.write_adapter(flat.module, whole, folder / "expected1")


def tensor_parallel(folder, rank):
    model = real.make_model()
    ferrule.peft.save_pretrained(model, folder / "copies")  # Every rank writes the same.
    real.write_adapter(model, {name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "expected0")
    mesh = init_device_mesh("cpu", (RANKS,))
    for path, module in model.named_modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is None or "lora_" not in path:
                continue
            row_wise = "down_proj" in path
            split = 1 if row_wise and "lora_A" in path else 0 if not row_wise and "lora_B" in path else None
            placement = Replicate() if split is None else Shard(split)
            module._parameters[name] = torch.nn.Parameter(distribute_tensor(parameter.data, mesh, [placement]))
    ferrule.peft.save_pretrained(model, folder / "parallel")


def run(rank, world, folder, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), FSDP_TRANSFORMER_CLS_TO_WRAP="LlamaDecoderLayer")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    for job in (fsdp2, alone, fsdp1, tensor_parallel):
        job(pathlib.Path(folder), rank)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    mp.start_processes(run, args=(RANKS, str(folder), real.free_port()), nprocs=RANKS, start_method="fork")
    return folder


def config_of(folder):
    """PEFT writes sets in an order that changes from run to run."""
    config = json.loads((folder / "adapter_config.json").read_text())
    return {key: sorted(value) if isinstance(value, list) else value for key, value in config.items()}


@pytest.mark.parametrize("saved, expected", [
    ("all", "expected2"), ("main", "expected2"), ("later", "expected2"), ("state", "expected2"), ("evaluated", "expected2"),
    ("together", "expected2"), ("flat", "expected1"), ("nestedTrue", "expectedTrue"), ("nestedFalse", "expectedFalse"), ("copies", "expected0"), ("parallel", "expected0"),
])
def test_the_adapter_is_whole(jobs, saved, expected):
    one = load_file(jobs / saved / "adapter_model.safetensors")
    other = load_file(jobs / expected / "adapter_model.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]), name
    assert config_of(jobs / saved) == config_of(jobs / expected)
    assert not list(jobs.glob("alone*")) and not list(jobs.glob("otherTrue"))


def fail(rank, world, folder, port, how):
    """What this rank gets is in a file of its own."""
    from ferrule.peft import _ranks

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    model = real.make_model()
    fully_shard(model)
    if how == "dies" and rank == 1:
        _ranks.Gathering.gather = lambda self, keep: os._exit(7)
    try:
        ferrule.peft.save_pretrained(model, folder / (f"out{rank}" if how == "paths" else "out"), rank_timeout=3)
        got = "nothing"
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
    (folder / f"rank{rank}").write_text(got)
    os._exit(0)


@pytest.mark.parametrize("how, ranks, error, text", [
    ("paths", (0, 1, 2), "InvalidArgumentError", "rank 1 would save other tensors, or to another path"),
    ("dies", (0, 2), "RuntimeError", ""),
])
def test_a_save_that_cannot_end_is_an_error_on_all_ranks(tmp_path, how, ranks, error, text):
    job = mp.start_processes(fail, args=(3, tmp_path, real.free_port(), how), nprocs=3, start_method="fork", join=False)
    for process in job.processes:
        process.join()
    for rank in ranks:
        got = (tmp_path / f"rank{rank}").read_text()
        assert got.startswith(error) and text in got
    assert not list(tmp_path.glob("out*"))


def test_the_base_is_never_gathered(monkeypatch):
    """What is gathered is what is saved: of the base no tensor is asked for."""
    from ferrule.peft import _ranks

    model = real.make_model()
    for name, parameter in model.named_parameters():
        if "lora_" not in name:
            parameter.data = torch.empty(0)
            parameter.ds_shape = torch.Size([4, 4])
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    assert not _ranks.Gathering(model, {n: p for n, p in model.named_parameters() if "lora_" in n}, True)
