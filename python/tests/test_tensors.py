# SPDX-License-Identifier: Apache-2.0
"""Tensors in and out, compared with safetensors and torch."""

import gc
import pathlib
import subprocess
import sys
import threading

import ferrule
import ferrule.numpy
import ferrule.torch
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from ferrule import _device, _ferrule
from torch._subclasses import FakeTensorMode

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool, torch.complex64, torch.float8_e4m3fn,
    torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.float4_e2m1fn_x2,
]  # fmt: skip


def bits(tensor):
    """A tensor as bytes: torch compares few of the small dtypes."""
    if isinstance(tensor, np.ndarray):
        return tensor.dtype, tensor.shape, tensor.tobytes()
    if tensor.numel() == 0:
        return tensor.dtype, tuple(tensor.shape), b""
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return tensor.dtype, tuple(tensor.shape), bytes(raw.tolist())


def random(dtype, *shape):
    size = int(np.prod(shape)) * torch.empty(0, dtype=dtype).element_size()
    raw = torch.from_numpy(np.random.default_rng(7).integers(0, 2 if dtype == torch.bool else 255, size, np.uint8))
    return raw.view(dtype).view(shape) if raw.numel() else torch.empty(shape, dtype=dtype)


def both_ways(tensors, path):
    """Saved by us, the file is safetensors' own; loaded by us, so are the tensors."""
    ferrule.torch.save_file(tensors, path / "ours", {"format": "pt"})
    safetensors.torch.save_file(tensors, path / "theirs", {"format": "pt"})
    assert (path / "ours").read_bytes() == (path / "theirs").read_bytes()
    ours, theirs = ferrule.torch.load_file(path / "ours"), safetensors.torch.load_file(path / "theirs")
    assert list(ours) == list(theirs)
    assert [bits(tensor) for tensor in ours.values()] == [bits(tensor) for tensor in theirs.values()]
    return ours


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(2, 4), (3, 2, 2), (0, 4), (1,)], ids=str)
def test_every_dtype_goes_both_ways(dtype, shape, tmp_path):
    tensors = {"a": random(dtype, *shape)}
    assert bits(both_ways(tensors, tmp_path)["a"]) == bits(tensors["a"])
    assert ferrule.torch.save(tensors) == safetensors.torch.save(tensors)
    assert bits(ferrule.torch.load(ferrule.torch.save(tensors))["a"]) == bits(tensors["a"])


def test_scalars_many_dimensions_and_odd_names_go_both_ways(tmp_path):
    tensors = {"": torch.tensor(1.5), "ä\n\"😀": torch.tensor(3, dtype=torch.int8), "z": torch.ones([1] * 20 + [2])}
    both_ways(tensors, tmp_path)


def test_misaligned_tensors_are_copied_and_right(tmp_path):
    # F32 after one byte of padding that a foreign writer left out of the header.
    header = b'{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}'
    values = np.array([1.5, -2.0], np.float32)
    (tmp_path / "odd").write_bytes(len(header).to_bytes(8, "little") + header + b"\x07" + values.tobytes())
    loaded = ferrule.torch.load_file(tmp_path / "odd")
    assert loaded["f"].tolist() == [1.5, -2.0] and loaded["f"].data_ptr() % 4 == 0
    assert ferrule.numpy.load_file(tmp_path / "odd")["f"].tolist() == [1.5, -2.0]


def test_dtypes_that_torch_has_not_are_refused_by_name(tmp_path):
    header = b'{"six":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[0,3]}}'
    (tmp_path / "six").write_bytes(len(header).to_bytes(8, "little") + header + b"123")
    with pytest.raises(ferrule.UnsupportedError, match='tensor "six" is F6_E2M3'):
        ferrule.SafetensorsFile.open(tmp_path / "six").tensors("torch")
    with pytest.raises(safetensors.SafetensorError):
        safetensors.torch.load_file(tmp_path / "six")


@pytest.mark.parametrize("mebibytes", [0, 1], ids=["read", "mapped"])
def test_loaded_tensors_are_writable_and_the_file_stays(tmp_path, mebibytes):
    ferrule.torch.save_file({"a": torch.zeros(16 + mebibytes * 2**18), "b": torch.ones(3)}, tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    loaded = ferrule.torch.load_file(tmp_path / "file")
    part = loaded["a"][1:]
    part += 1
    array = loaded["b"].numpy()
    del loaded
    gc.collect()
    (tmp_path / "file").unlink()
    assert part.sum().item() == part.numel() and array.tolist() == [1, 1, 1]
    assert before == ferrule.torch.save({"a": torch.zeros_like(part.new_empty(part.numel() + 1)), "b": torch.ones(3)})


def test_bytes_that_were_loaded_never_change():
    data = ferrule.torch.save({"a": torch.zeros(4)})
    copy = bytes(bytearray(data))
    ferrule.torch.load(data)["a"].fill_(1)
    assert data == copy


class Plain(torch.Tensor):
    pass


def test_views_parameters_and_subclasses_are_read_in_place():
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"row": base[1], "p": torch.nn.Parameter(base), "sub": base.as_subclass(Plain), "e": base[:0]}
    live = _ferrule.LiveTensors(tensors)
    assert live.all_in_place and live.overlapping and len(live) == 4
    assert live.byte_count == 4 * (6 + 24 + 24)
    loaded = ferrule.torch.load(live.serialize_safetensors())
    assert all(torch.equal(loaded[name], tensor.detach()) for name, tensor in tensors.items())


LAZY = torch.complex(torch.tensor([1.0, 2.0]), torch.tensor([3.0, -4.0]))
UNUSUAL = {
    "transposed": torch.arange(6.0).reshape(2, 3).t(),
    "step": torch.arange(8)[::2],
    "expanded": torch.arange(3.0).expand(2, 3),
    "conj": LAZY.conj(),
    "neg": torch._neg_view(torch.arange(3.0)),
    "imag of conj": LAZY.conj().imag,
    "channels last": torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "requires grad": torch.nn.Parameter(torch.arange(6.0).reshape(2, 3)).t(),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_memory_does_not_hold_as_such_is_made(name):
    live = _ferrule.LiveTensors({name: UNUSUAL[name]})
    assert not live.all_in_place
    loaded = ferrule.torch.load(live.serialize_safetensors())[name]
    expected = UNUSUAL[name].detach().resolve_conj().resolve_neg().contiguous()
    assert bits(loaded) == bits(expected)


def test_conj_and_neg_bits_are_saved_right_where_safetensors_saves_them_wrong():
    for name in ("conj", "neg"):
        expected = UNUSUAL[name].resolve_conj().resolve_neg()
        assert torch.equal(ferrule.torch.load(ferrule.torch.save({"a": UNUSUAL[name]}))["a"], expected)
        assert not torch.equal(safetensors.torch.load(safetensors.torch.save({"a": UNUSUAL[name]}))["a"], expected)


class Wrapper(torch.Tensor):
    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError


def wrapper():
    return torch.Tensor._make_wrapper_subclass(Wrapper, (2, 3))


def fake():
    with FakeTensorMode():
        return torch.zeros(3)


def quantized():
    return torch._empty_affine_quantized((3,), scale=1.0, zero_point=0, dtype=torch.qint8)


REFUSED = {
    "meta": (lambda: torch.zeros(3, device="meta"), "is a meta tensor, which has no data"),
    "sparse": (lambda: torch.eye(3).to_sparse(), "is sparse"),
    "quantized": (quantized, "is quantized"),
    "complex128": (lambda: torch.zeros(2, dtype=torch.complex128), "no dtype for torch.complex128"),
    "uint4": (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.uint4), "no dtype for torch.uint4"),
    "int4": (lambda: torch.zeros(2, dtype=torch.int8).view(torch.int4), "no dtype for torch.int4"),
    "uint1": (lambda: torch.zeros(2, dtype=torch.uint8).view(torch.uint1), "no dtype for torch.uint1"),
    "fake": (fake, "has no memory of its own"),
    "wrapper": (wrapper, "has no memory of its own"),
    "text": (lambda: np.array(["a"]), "no dtype for numpy's <U1"),
    "object": (lambda: np.array([object()]), "no dtype for numpy's object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tensors_without_bytes_are_refused_by_name(name):
    make, why = REFUSED[name]
    with pytest.raises(ferrule.UnsupportedError) as caught:
        _ferrule.LiveTensors({"good": torch.ones(1), name: make()})
    assert str(caught.value).startswith(f'tensors["{name}"]: ') and why in str(caught.value)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (None, "tensors: expected a dict of str to torch.Tensor or numpy.ndarray, found NoneType"),
        ([torch.ones(1)], "tensors: expected a dict of str to torch.Tensor or numpy.ndarray, found list"),
        ({1: torch.ones(1)}, "tensors: a name: expected str, found int"),
        ({"a": 1.5}, 'tensors["a"]: expected a torch.Tensor or numpy.ndarray, found float'),
    ],
)
def test_what_is_no_tensor_is_a_type_error(tensors, message):
    with pytest.raises(TypeError) as caught:
        _ferrule.LiveTensors(tensors)
    assert str(caught.value) == message


def test_a_dtensor_is_gathered():
    code = """
import os, torch, torch.distributed as dist
from torch.distributed.tensor import distribute_tensor, Shard, init_device_mesh
import ferrule.torch
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
whole = torch.arange(6.0).reshape(2, 3)
shard = distribute_tensor(whole, init_device_mesh("cpu", (1,)), [Shard(0)])
assert torch.equal(ferrule.torch.load(ferrule.torch.save({"a": shard}))["a"], whole)
dist.destroy_process_group()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["none", "old name"])
def test_a_torch_without_the_exchange_table_is_served_through_attributes(name, tmp_path):
    tensors = {str(dtype): random(dtype, 2, 4) for dtype in DTYPES} | {"t": torch.arange(6.0).reshape(2, 3).t()}
    _ferrule.LiveTensors(tensors).write_safetensors(tmp_path / "expected")
    torch.save(tensors, tmp_path / "tensors.pt")
    code = f"""
import torch
table = torch.Tensor.__dlpack_c_exchange_api__
del torch.Tensor.__dlpack_c_exchange_api__
if {name == "old name"}:
    torch.Tensor.__c_dlpack_exchange_api__ = table
from ferrule import _ferrule
import ferrule.torch
tensors = torch.load("tensors.pt", weights_only=True)
live = _ferrule.LiveTensors(tensors)
assert live.serialize_safetensors() == open("expected", "rb").read()
for name, tensor in ferrule.torch.load_file("expected").items():
    assert tensor.dtype == tensors[name].dtype and tensor.shape == tensors[name].shape
    same = [one.contiguous().view(torch.uint8) for one in (tensor, tensors[name])]
    assert torch.equal(*same)
    tensor.view(torch.uint8).fill_(0)
for bad in (torch.zeros(1, device="meta"), torch.eye(2).to_sparse(), torch.zeros(2, dtype=torch.int8).view(torch.int4)):
    try:
        _ferrule.LiveTensors({{"a": bad}})
    except ferrule.UnsupportedError:
        continue
    raise SystemExit("taken")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_tensors_of_devices_reach_the_host_through_one_buffer():
    tensors = [torch.arange(5.0), torch.arange(6, dtype=torch.int16).reshape(2, 3).t(), torch.ones(0), torch.tensor(3)]
    copies = _device.to_host(tensors)
    assert [bits(copy) for copy in copies] == [bits(tensor) for tensor in tensors]
    assert len({copy.untyped_storage().data_ptr() for copy in copies}) == 1
    assert all(copy.is_contiguous() and copy.data_ptr() % 8 == 0 for copy in copies)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_tensors_go_both_ways(tmp_path):
    tensors = {"a": torch.arange(6.0, device="cuda").t(), "b": torch.ones(3, device="cuda", dtype=torch.bfloat16)}
    ferrule.torch.save_file(tensors, tmp_path / "file")
    loaded = ferrule.torch.load_file(tmp_path / "file", device="cuda")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


ARRAYS = {
    "c": np.arange(6.0).reshape(2, 3),
    "bool": np.array([True, False]),
    "scalar": np.array(2, np.uint16),
    "empty": np.zeros((0, 3), np.float16),
    "complex": np.array([1 + 2j], np.complex64),
    "big endian": np.arange(3, dtype=">i4"),
    "read only": np.broadcast_to(np.float32(2), (1,)),
}


def test_arrays_go_both_ways(tmp_path):
    ferrule.numpy.save_file(ARRAYS, tmp_path / "ours", {"a": "b"})
    safetensors.numpy.save_file(ARRAYS, tmp_path / "theirs", {"a": "b"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    ours, theirs = ferrule.numpy.load_file(tmp_path / "ours"), safetensors.numpy.load_file(tmp_path / "theirs")
    assert list(ours) == list(theirs)
    assert [bits(array) for array in ours.values()] == [bits(array) for array in theirs.values()]
    assert all(array.flags.writeable for array in ours.values())


def test_arrays_in_other_orders_are_saved_right_where_safetensors_saves_them_wrong():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert np.array_equal(ferrule.numpy.load(ferrule.numpy.save({"a": array}))["a"], array)
    assert not np.array_equal(safetensors.numpy.load(safetensors.numpy.save({"a": array}))["a"], array)


def test_bfloat16_without_ml_dtypes_says_what_to_do(tmp_path):
    ferrule.torch.save_file({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "file")
    file = ferrule.SafetensorsFile.open(tmp_path / "file")
    try:
        import ml_dtypes
    except ImportError:
        with pytest.raises(ferrule.UnsupportedError, match='tensor "a" is BF16, which numpy does not have: install ml_dtypes'):
            file.tensors("numpy")
    else:
        array = file.tensors("numpy")["a"]
        assert array.dtype == ml_dtypes.bfloat16 and array.tolist() == [1.0, 1.0]
        assert ferrule.numpy.save({"a": array}) == (tmp_path / "file").read_bytes()


def test_other_threads_run_while_a_file_is_written(tmp_path):
    tensors = {"a": torch.zeros(2**24)}
    turns, done = 0, threading.Event()

    def save():
        for _ in range(5):
            ferrule.torch.save_file(tensors, tmp_path / "file")
        done.set()

    switch = sys.getswitchinterval()
    # Only a released GIL lets this thread have a turn.
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=save)
        thread.start()
        while not done.wait(0.0005):
            turns += 1
        thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert turns > 5


def test_live_tensors_keep_what_they_read():
    tensors = {"a": torch.arange(1000.0)}
    live = _ferrule.LiveTensors(tensors)
    tensors.clear()
    gc.collect()
    assert torch.equal(ferrule.torch.load(live.serialize_safetensors())["a"], torch.arange(1000.0))


def test_nothing_is_left_behind_by_a_save_that_fails(tmp_path):
    target = pathlib.Path(tmp_path / "no such folder" / "file")
    with pytest.raises(ferrule.SafetensorError, match="^Error while serializing: "):
        ferrule.torch.save_file({"a": torch.ones(1)}, target)
    assert list(tmp_path.iterdir()) == []
