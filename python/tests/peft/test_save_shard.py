# SPDX-License-Identifier: Apache-2.0
"""save_shard() in processes of the real torch.distributed, and assemble(): the truth is what PEFT saves of the gathered
weights."""

import json
import os
import pathlib
import shutil
import sys

import ferrule
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "rescue"))
import torch_checkpoints as real  # noqa: E402


def run(rank, world, folder, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    folder = pathlib.Path(folder)
    model = real.make_model(head=True)
    fully_shard(model)
    real.train(model)
    report = ferrule.save_shard(model, folder / "fsdp2", run_id="job-1", step=2)
    assert report.file.endswith(f"shard-{rank + 1:05}-model-00001-of-00001.safetensors")
    real.write_adapter(model, real.gathered(model), folder / "expected2")
    state = get_model_state_dict(model, options=StateDictOptions(ignore_frozen_params=True))
    ferrule.save_shard(state, folder / "state", run_id="job-1", config=folder / "expected2")

    flat = FullyShardedDataParallel(real.make_model(), use_orig_params=True, device_id=torch.device("cpu"))
    real.train(flat)
    ferrule.save_shard(flat, folder / "fsdp1", run_id="job-2")
    with FullyShardedDataParallel.summon_full_params(flat):
        whole = {name.replace("_fsdp_wrapped_module.", ""): tensor.detach().clone() for name, tensor in flat.named_parameters()}
    real.write_adapter(flat.module, whole, folder / "expected1")

    copies = real.make_model()
    ferrule.save_shard(copies, folder / "copies", run_id="job-3")
    with torch.no_grad():
        for name, parameter in copies.named_parameters():
            if "lora_B" in name and rank == 1:
                parameter[0, 0] += 1
    ferrule.save_shard(copies, folder / "unequal", run_id="job-3")
    real.on_rank_0(lambda: copies.save_pretrained(folder / "expected0") if rank == 0 else None)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    mp.start_processes(run, args=(2, str(folder), real.free_port()), nprocs=2, start_method="fork")
    return folder


def assert_same(found, expected):
    one = load_file(found / "adapter_model.safetensors")
    other = load_file(expected / "adapter_model.safetensors")
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("shards, expected", [("fsdp2", "expected2"), ("state", "expected2"), ("fsdp1", "expected1")])
def test_shards_come_back_whole(jobs, tmp_path, shards, expected):
    report = ferrule.assemble(jobs / shards, tmp_path / "out")
    assert report.world_size == 2
    assert_same(tmp_path / "out", jobs / expected)
    assert ferrule.open(tmp_path / "out").config.peft_type == "LORA"


def test_copies_that_agree_are_one(jobs, tmp_path):
    ferrule.assemble(jobs / "copies", tmp_path / "out")


def test_copies_that_differ_are_refused(jobs, tmp_path):
    with pytest.raises(ferrule.CorruptError, match="RS-15.*first difference is at element 0"):
        ferrule.assemble(jobs / "unequal", tmp_path / "out")


def test_a_missing_rank_is_named(jobs, tmp_path):
    shutil.copytree(jobs / "fsdp1", tmp_path / "shards")
    (tmp_path / "shards" / "shard-00002-model-00001-of-00001.safetensors").unlink()
    with pytest.raises(ferrule.CorruptError, match="shard-00002"):
        ferrule.assemble(tmp_path / "shards", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_torch_reads_the_shards(jobs):
    """A set of boxes is one of torch's DCP with Hugging Face storage."""
    import torch.distributed.checkpoint as dcp

    expected = load_file(jobs / "expected2" / "adapter_model.safetensors")
    state = {name: torch.zeros_like(tensor) for name, tensor in expected.items()}
    dcp.load(state, storage_reader=HuggingFaceStorageReader(str(jobs / "fsdp2" / "step-00000002")), no_dist=True)
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name


def test_a_run_needs_an_id(monkeypatch, tmp_path):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ferrule.InvalidArgumentError, match="rank and world_size"):
        ferrule.save_shard({}, tmp_path)
    with pytest.raises(ferrule.InvalidArgumentError, match="run_id"):
        ferrule.save_shard({}, tmp_path, rank=0, world_size=1)


def test_rescue_and_publish(jobs, tmp_path):
    report = ferrule.rescue(jobs / "fsdp2", tmp_path / "out")
    assert report.step == 2 and report.adapter == "default"
    with pytest.raises(ferrule.NotFoundError):
        ferrule.PublishedReader.open(tmp_path / "root")
    assert ferrule.publish(tmp_path / "out", tmp_path / "root").generation == 1
    reader = ferrule.PublishedReader.open(tmp_path / "root")
    assert not reader.changed
    ferrule.publish(tmp_path / "out", tmp_path / "root", keep=1)
    assert reader.changed
    number, folder = reader.current()
    assert number == 2 and json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())["r"] == real.RANK
