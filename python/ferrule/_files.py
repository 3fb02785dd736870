# SPDX-License-Identifier: Apache-2.0
"""The native half of safetensors' functions, for every framework: errors are worded as safetensors words them."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterator, Optional, Union

from ._errors import Error, SafetensorError
from ._ferrule import LiveTensors, SafetensorsFile


@contextlib.contextmanager
def worded(prefix: str) -> Iterator[None]:
    try:
        yield
    except Error as error:
        raise SafetensorError.of(prefix, error) from error


def serialize(tensors: LiveTensors, metadata: Optional[Dict[str, str]]) -> bytes:
    with worded("Error while serializing: "):
        return tensors.serialize_safetensors(metadata)


def write(tensors: LiveTensors, filename: Union[str, os.PathLike], metadata: Optional[Dict[str, str]]) -> None:
    """Nothing is flushed to the disk, as safetensors does it."""
    with worded("Error while serializing: "):
        tensors.write_safetensors(filename, metadata, durability="fast")


def deserialize(data: bytes, framework: str) -> Dict[str, Any]:
    with worded("Error while deserializing: "):
        return SafetensorsFile.from_bytes(data).tensors(framework)
