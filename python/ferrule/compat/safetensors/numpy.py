# SPDX-License-Identifier: Apache-2.0
"""safetensors.numpy."""

from ...numpy import load, load_file, save, save_file
from . import TensorSpec, deserialize, safe_open, serialize, serialize_file

__all__ = [
    "TensorSpec",
    "deserialize",
    "load",
    "load_file",
    "safe_open",
    "save",
    "save_file",
    "serialize",
    "serialize_file",
]
