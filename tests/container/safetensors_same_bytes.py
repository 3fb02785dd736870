#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saves hundreds of state dicts with safetensors.torch.save and compares what our writer makes of the
same tensors: every byte must be equal (ST-16).

    safetensors_same_bytes.py ST_VERDICT
"""
import random
import struct
import subprocess
import sys

import torch
from safetensors.torch import save

DTYPES = ["bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu", "float8_e4m3fnuz",
          "float8_e5m2fnuz", "int16", "uint16", "float16", "bfloat16", "int32", "uint32", "float32",
          "complex64", "float64", "int64", "uint64", "float4_e2m1fn_x2"]
LETTERS = ["a", "B", ".", "_", "0", "\"", "\\", "/", "\n", "\x00", "\x1f", "\x7f", "\u00e9", "\u2028",
           "\U0001f600", " "]


def tensor(dtype, rng):
    shape = [rng.randrange(5) for _ in range(rng.randrange(4))]
    if dtype == "float4_e2m1fn_x2":
        shape.append(2)  # Two elements a byte: a scalar has no whole byte.
    kind = getattr(torch, dtype)
    items = 1
    for extent in shape:
        items *= extent
    width = torch.empty(0, dtype=kind).element_size()
    if dtype == "bool":
        return torch.tensor([rng.random() < 0.5 for _ in range(items)], dtype=kind).reshape(shape)
    data = torch.tensor([rng.randrange(256) for _ in range(items * width)], dtype=torch.uint8)
    return data.view(kind).reshape(shape) if items else torch.empty(shape, dtype=kind)


def main():
    rng = random.Random(20260727)
    files, seen = [save({}), save({}, {"format": "pt"})], set()
    for _ in range(600):
        state = {}
        for _ in range(rng.randrange(8)):
            dtype = rng.choice(DTYPES)
            seen.add(dtype)
            state["".join(rng.choices(LETTERS, k=rng.randrange(9)))] = tensor(dtype, rng)
        metadata = rng.choice((None, {"format": "pt"}, {"k\u00e9\n": "\"v\"\x01"}))
        files.append(save(state, metadata))
    piped = b"".join(struct.pack("<Q", len(data)) + data for data in files)
    answers = subprocess.run([sys.argv[1], "rewrite"], input=piped, stdout=subprocess.PIPE, check=True)
    ours = answers.stdout.decode().splitlines()
    if len(ours) != len(files):
        sys.exit(f"{len(files)} files, {len(ours)} answers")
    for mine, theirs in zip(ours, files):
        if mine != "ok " + theirs.hex():
            sys.exit(f"ours   {mine[:400]}\ntheirs ok {theirs.hex()[:400]}\n{theirs[:400]}")
    if seen != set(DTYPES):
        sys.exit(f"never tried: {set(DTYPES) - seen}")
    print(f"{len(files)} files of {len(seen)} dtypes are equal to the byte")


if __name__ == "__main__":
    main()
