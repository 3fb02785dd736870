# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/torch: state dicts that real torch saved, each beside a JSON description.

    python tools/make_torch_golden.py tests/golden/torch

Run it once with every torch whose files should be read; each writes into a folder named after its
version. `NAME.pt` is what torch.save wrote; `NAME.json` lists every tensor's dtype, shape and
contiguous bytes in hex. Files whose name starts with a rule (`PK-16-sparse.pt`) must be refused by
that rule. A name that ends in `.KEY` is read with `--key KEY`.
"""
import json
import sys
import warnings
from collections import OrderedDict
from pathlib import Path

import torch

warnings.filterwarnings("ignore")

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64",
    "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
    "complex64": "C64", "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0", "float4_e2m1fn_x2": "F4",
}


def tensor_of(dtype, *shape, seed=0):
    """A tensor of arbitrary bits; bools are 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    count = 1
    for extent in shape:
        count *= extent
    size = torch.empty((), dtype=dtype).element_size()
    high = 2 if dtype == torch.bool else 256
    raw = torch.randint(0, high, (count * size,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


def contiguous_bytes(tensor):
    """The bytes of the tensor in row-major order, computed without torch's own contiguous()."""
    size = tensor.element_size()
    storage = tensor.storage()
    untyped = getattr(storage, "_untyped_storage", None)
    raw = bytes(untyped.tolist()) if untyped is not None else bytes(storage.untyped().tolist())
    out = bytearray()

    def walk(axis, position):
        if axis == tensor.dim():
            out.extend(raw[position * size:(position + 1) * size])
            return
        for _ in range(tensor.shape[axis]):
            walk(axis + 1, position)
            position += tensor.stride(axis)

    walk(0, tensor.storage_offset())
    return bytes(out)


def describe(state):
    rows = OrderedDict()
    for name, tensor in state.items():
        dtype = DTYPES[str(tensor.dtype).split(".")[1]]
        shape = list(tensor.shape)
        if dtype == "F4":
            shape[-1] *= 2
        rows[name] = {"dtype": dtype, "shape": shape, "bytes": contiguous_bytes(tensor.detach()).hex()}
    return rows


def cases():
    dtypes = OrderedDict()
    for name in DTYPES:
        if hasattr(torch, name):
            dtypes[name] = tensor_of(getattr(torch, name), 2, 2, seed=len(dtypes))
    yield "dtypes", dtypes, {}
    yield "dtypes_legacy", dtypes, {"_use_new_zipfile_serialization": False}

    base = tensor_of(torch.float32, 4, 6, seed=1)
    cube = tensor_of(torch.int16, 3, 4, 5, seed=2)
    layouts = OrderedDict(
        whole=base, transposed=base.t(), rows=base[1:3], column=base[:, 2], block=base[1:3, 2:5],
        step=base[::2, ::3], expanded=base[:1].expand(3, 6), permuted=cube.permute(2, 0, 1),
        part=cube[1:, ::2, 1:4], one=cube[1:2, 2:3, 3:4], channels_last=tensor_of(
            torch.float16, 2, 3, 2, 2, seed=3).contiguous(memory_format=torch.channels_last))
    yield "layouts", layouts, {}
    yield "layouts_legacy", layouts, {"_use_new_zipfile_serialization": False}

    shapes = OrderedDict(
        scalar=tensor_of(torch.float32, seed=4), empty=torch.zeros(0), hollow=torch.zeros(2, 0, 3),
        one=tensor_of(torch.bfloat16, 1, 1, 1, seed=5), deep=tensor_of(torch.uint8, *[1] * 12, 3))
    yield "shapes", shapes, {}
    yield "shapes_legacy", shapes, {"_use_new_zipfile_serialization": False}

    tied = tensor_of(torch.float32, 3, 2, seed=6)
    yield "tied", OrderedDict(a=tied, b=tied, c=tied.view(6), d=tied.view(6)[3:]), {}
    yield "plain_dict", {"a": tied, "\u00e9\u4e2d.\U0001f600": tied}, {}
    parameter = torch.nn.Parameter(tied.clone())
    yield "parameter", OrderedDict(a=parameter, b=torch.nn.Parameter(tied.clone(), False)), {}
    yield "module", torch.nn.Linear(2, 3).state_dict(), {}
    for protocol in (3, 4, 5):
        yield f"protocol_{protocol}", OrderedDict(a=tied, b=base), {"pickle_protocol": protocol}
    yield "many", OrderedDict((f"t{i}", base[:1, :1]) for i in range(1001)), {}
    yield "empty", OrderedDict(), {}
    checkpoint = {"epoch": 3, "state_dict": OrderedDict(a=tied), "lr": 0.5, "args": [1, "x", None]}
    yield "nested.state_dict", checkpoint, {}
    yield "nested_legacy.state_dict", checkpoint, {"_use_new_zipfile_serialization": False}

    yield "PK-10-nested", checkpoint, {}
    yield "PK-10-tensor", tied, {}
    yield "PK-10-list", [tied], {}
    yield "PK-10-int", OrderedDict(a=tied, steps=7), {}
    yield "PK-16-sparse", OrderedDict(a=tied.to_sparse()), {}
    yield "PK-16-quantized", OrderedDict(
        a=torch.quantize_per_tensor(torch.zeros(2), 0.5, 0, torch.qint8)), {}
    yield "PK-16-meta", OrderedDict(a=torch.zeros(2, device="meta")), {}
    yield "PK-16-nested", OrderedDict(a=torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])), {}
    yield "PK-16-complex128", OrderedDict(a=torch.zeros(2, dtype=torch.complex128)), {}
    if int(torch.__version__.split(".")[0]) < 2:
        return  # It saves the next two as plain tensors and says nothing.
    yield "PK-16-conj", OrderedDict(a=tensor_of(torch.complex64, 2, seed=7).conj()), {}
    attributes = torch.zeros(2)
    attributes.note = "mine"
    yield "PK-16-attributes", OrderedDict(a=attributes), {}


def main():
    folder = Path(sys.argv[1]) / ("torch-" + ".".join(torch.__version__.split(".")[:2]))
    folder.mkdir(parents=True, exist_ok=True)
    for name, state, options in cases():
        stem, _, key = name.partition(".")
        path = folder / f"{name}.pt"
        try:
            torch.save(state, path, **options)
        except RuntimeError as error:  # This torch cannot save such a thing.
            print(f"{name}: {error}", file=sys.stderr)
            path.unlink(missing_ok=True)
            continue
        if not stem.startswith("PK-"):
            described = describe(state[key] if key else state)
            text = json.dumps({"torch": torch.__version__, "tensors": described}, indent=1)
            (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
