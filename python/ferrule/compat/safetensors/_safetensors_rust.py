# SPDX-License-Identifier: Apache-2.0
"""What safetensors' own native module offers."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..._errors import SafetensorError
from ..._ferrule import SafetensorsFile, TensorSpec, serialize, serialize_file
from ..._files import worded
from ..._safe_open import PySafeSlice, _safe_open_handle, safe_open

__all__ = [
    "PySafeSlice",
    "SafetensorError",
    "TensorSpec",
    "__version__",
    "_safe_open_handle",
    "deserialize",
    "safe_open",
    "serialize",
    "serialize_file",
]

#: The release whose surface this is.
__version__ = "0.8.0"


def deserialize(bytes: bytes) -> List[Tuple[str, Dict[str, Any]]]:  # noqa: A002 (safetensors' name)
    """The tensors of a file in memory: (name, {"shape", "dtype", "data"}), in the order of their data.

    Raises SafetensorError.
    """
    with worded("Error while deserializing: "):
        file = SafetensorsFile.from_bytes(bytes)
    return [
        (name, {"shape": list(file.shape(name)), "dtype": file.dtype(name), "data": file.byte_array(name)})
        for name in file.names
    ]
