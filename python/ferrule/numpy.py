# SPDX-License-Identifier: Apache-2.0
"""safetensors.numpy's functions, done natively: the same signatures, exceptions and bytes."""

from __future__ import annotations

import os
from typing import Dict, Optional, Union

import numpy as np

from . import _files
from ._ferrule import LiveTensors
from ._safe_open import safe_open

__all__ = ["load", "load_file", "safe_open", "save", "save_file"]


def _live(tensor_dict: Dict[str, np.ndarray]) -> LiveTensors:
    with _files.worded(""):
        return LiveTensors(tensor_dict, "numpy")


def save(tensor_dict: Dict[str, np.ndarray], metadata: Optional[Dict[str, str]] = None) -> bytes:
    """The bytes of a safetensors file of these arrays.

    Arrays of any order are written row-major, big-endian ones as little-endian; bfloat16 and float8
    are those of ml_dtypes. Raises TypeError (not an array, not a str), SafetensorError.
    """
    return _files.serialize(_live(tensor_dict), metadata)


def save_file(
    tensor_dict: Dict[str, np.ndarray],
    filename: Union[str, os.PathLike],
    metadata: Optional[Dict[str, str]] = None,
) -> None:
    """Writes a safetensors file of these arrays, which appears whole or not at all.

    The GIL is released while it writes. Nothing is flushed to the disk, as safetensors does it.
    Raises as save does.
    """
    _files.write(_live(tensor_dict), filename, metadata)


def load(data: bytes) -> Dict[str, np.ndarray]:
    """The arrays of a safetensors file in memory, over one copy of it. Raises SafetensorError."""
    return _files.deserialize(data, "numpy")


def load_file(filename: Union[str, os.PathLike], *, backend: str = "mmap") -> Dict[str, np.ndarray]:
    """The arrays of a safetensors file.

    With backend="mmap" they are views of a private mapping: nothing is read before it is touched,
    writing to them never changes the file, but a program that truncates it takes the pages away
    (SIGBUS). backend="pread" reads it all into memory. Raises FileNotFoundError, SafetensorError.
    """
    with safe_open(filename, framework="np", backend=backend) as file:
        return file.get_tensors()
