# SPDX-License-Identifier: Apache-2.0
"""torch_reads_ours.py TORCH_REWRITE GOLDEN: real torch reads what Ferrule wrote.

Every golden state dict is read and written again by Ferrule; torch then loads both files and must
find the same tensors, to the bit, with the same storages shared. Runs under torch 1.13 and 2.x.
"""
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore")
MODERN = int(torch.__version__.split(".")[0]) >= 2


def load(path, **options):
    if MODERN:
        options["weights_only"] = True
    return torch.load(str(path), map_location="cpu", **options)


def bits(tensor):
    plain = tensor.detach()
    if MODERN:
        return bytes(plain.contiguous().view(-1).view(torch.uint8).tolist()) if plain.numel() else b""
    return repr(plain.contiguous().view(-1).tolist()).encode()


def storage_of(tensor):
    if MODERN:
        return tensor.untyped_storage().data_ptr()
    return tensor.storage().data_ptr()


def sharing(state):
    """Which tensors lie in the same storage, as sets of names."""
    groups = {}
    for name, tensor in state.items():
        if tensor.numel():
            groups.setdefault(storage_of(tensor), set()).add(name)
    return {frozenset(names) for names in groups.values()}


def compare(ours, theirs, where):
    assert list(ours) == list(theirs), where
    for name, tensor in theirs.items():
        found = ours[name]
        assert found.dtype == tensor.dtype, (where, name)
        assert found.shape == tensor.shape, (where, name)
        assert bits(found) == bits(tensor), (where, name)
        assert found.is_contiguous(), (where, name)


def main():
    rewrite, golden = sys.argv[1], Path(sys.argv[2])
    modes = [{}, {"mmap": True}] if MODERN else [{}]
    checked = 0
    for path in sorted(golden.rglob("*.pt")):
        if path.name.startswith("PK-"):
            continue
        stem, _, key = path.stem.partition(".")
        try:
            theirs = load(path)
        except Exception:
            # 1.13 does not know the dtypes of later files; weights_only knows no protocol above 2;
            # 2.13 writes legacy files with float8 and cannot read them.
            assert not MODERN or stem.startswith("protocol_") or stem == "dtypes_legacy", path
            continue
        theirs = theirs[key] if key else theirs
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "ours.bin"
            subprocess.run([rewrite, str(path), str(out)] + ([key] if key else []), check=True)
            for mode in modes:
                ours = load(out, **mode)
                compare(ours, theirs, (path, mode))
                if stem == "tied":
                    assert sharing(ours) == sharing(theirs), path
                checked += 1
            if MODERN:
                from torch.utils.serialization import config
                config.load.calculate_storage_offsets = True
                compare(load(out, mmap=True), theirs, (path, "calculated offsets"))
                config.load.calculate_storage_offsets = False
    assert checked >= 20, checked
    print(f"torch {torch.__version__}: {checked} loads compared")


if __name__ == "__main__":
    main()
