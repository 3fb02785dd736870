# SPDX-License-Identifier: Apache-2.0
"""Tensors on a GPU, beside safetensors. Without a GPU they are listed as skipped."""

import pytest
import safetensors
import safetensors.torch
import torch

import ferrule
import ferrule.torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: torch finds no GPU")

DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.uint32, torch.int64,
          torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
          torch.float8_e4m3fn, torch.float8_e5m2]


def bits(tensor):
    return tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def of_every_dtype(device="cuda"):
    made = {}
    for dtype in DTYPES:
        raw = torch.arange(48, dtype=torch.uint8)
        made[str(dtype)] = (raw.remainder(2) if dtype is torch.bool else raw).view(dtype).reshape(2, -1).to(device)
    made["scalar"] = torch.tensor(3.5, device=device)
    made["empty"] = torch.zeros((0, 3), dtype=torch.float16, device=device)
    return made


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert (ours[name].dtype, ours[name].shape, ours[name].device) == (tensor.dtype, tensor.shape, tensor.device)
        assert bits(ours[name]) == bits(tensor), name


def test_files_of_gpu_tensors_are_those_of_safetensors(tmp_path):
    tensors = of_every_dtype()
    ferrule.torch.save_file(tensors, tmp_path / "ours", {"a": "b"})
    safetensors.torch.save_file(tensors, tmp_path / "theirs", {"a": "b"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert ferrule.torch.save(tensors) == safetensors.torch.save(tensors)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", 0])
@pytest.mark.parametrize("backend", ["mmap", "pread"])
def test_files_are_loaded_to_the_gpu(device, backend, tmp_path):
    safetensors.torch.save_file(of_every_dtype(), tmp_path / "file")
    theirs = safetensors.torch.load_file(tmp_path / "file", device=device)
    same(ferrule.torch.load_file(tmp_path / "file", device=device, backend=backend), theirs)
    with ferrule.torch.safe_open(tmp_path / "file", "pt", device=device, backend=backend) as file:
        same({name: file.get_tensor(name) for name in theirs}, theirs)
        assert torch.equal(file.get_slice("torch.int32")[:, 1:], theirs["torch.int32"][:, 1:])


def test_gpus_that_are_not_there_are_refused_alike(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "file")
    for load in (safetensors.torch.load_file, ferrule.torch.load_file):
        with pytest.raises(Exception) as error:
            load(tmp_path / "file", device="cuda:99")
        assert isinstance(error.value, (RuntimeError, AssertionError)), type(error.value)


def test_shared_and_strided_memory_on_the_gpu_is_refused_alike(tmp_path):
    whole = torch.arange(12.0, device="cuda").reshape(3, 4)
    for bad in ({"a": whole, "b": whole}, {"a": whole, "b": whole[1:]}, {"a": whole.t()}, {"a": whole.to_sparse()}):
        with pytest.raises((RuntimeError, ValueError)) as theirs:
            safetensors.torch.save_file(bad, tmp_path / "theirs")
        with pytest.raises(type(theirs.value)) as ours:
            ferrule.torch.save_file(bad, tmp_path / "ours")
        assert str(ours.value) == str(theirs.value)
    apart = {"a": whole[:1], "b": whole[1:]}
    outcomes = []
    for save in (safetensors.torch.save_file, ferrule.torch.save_file):
        try:
            save(apart, tmp_path / "file")
            outcomes.append((tmp_path / "file").read_bytes())
        except RuntimeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_models_with_tied_weights_on_the_gpu(tmp_path):
    def model():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
        net[1].weight = net[0].weight
        return net.to("cuda")

    ferrule.torch.save_model(model(), str(tmp_path / "ours"))
    safetensors.torch.save_model(model(), str(tmp_path / "theirs"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    other = model()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    expected = safetensors.torch.load_model(model(), tmp_path / "theirs", device="cuda")
    assert ferrule.torch.load_model(other, tmp_path / "theirs", device="cuda") == expected
    for name, tensor in model().state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_work_that_is_queued_is_waited_for(tmp_path):
    stream = torch.cuda.Stream()
    for use in (torch.cuda.current_stream(), stream):
        with torch.cuda.stream(use):
            total = torch.zeros(1024, 1024, device="cuda")
            step = torch.ones(1024, 1024, device="cuda")
            for _ in range(200):
                total += step
            ferrule.torch.save_file({"total": total}, tmp_path / "file")
            total.zero_()
        assert torch.equal(ferrule.torch.load_file(tmp_path / "file")["total"], torch.full((1024, 1024), 200.0))


def test_pinned_memory_goes_both_ways(tmp_path):
    tensors = {name: tensor.pin_memory() for name, tensor in of_every_dtype("cpu").items()}
    ferrule.torch.save_file(tensors, tmp_path / "ours")
    safetensors.torch.save_file(tensors, tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_host_and_gpu_tensors_in_one_file(tmp_path):
    tensors = {"a": torch.arange(5.0, device="cuda"), "b": torch.arange(6), "c": torch.ones(3, 3, device="cuda").half()}
    ferrule.torch.save_file(tensors, tmp_path / "ours")
    safetensors.torch.save_file(tensors, tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_gpu_holds_no_more_than_the_tensors(tmp_path):
    tensors = {f"t{i}": torch.full((256, 1024), float(i), device="cuda") for i in range(32)}
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    ferrule.torch.save_file(tensors, tmp_path / "file")
    assert torch.cuda.max_memory_allocated() == before
    loaded = ferrule.torch.load_file(tmp_path / "file", device="cuda")
    assert torch.cuda.memory_allocated() == before + sum(t.nbytes for t in loaded.values())
