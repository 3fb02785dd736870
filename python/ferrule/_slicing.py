# SPDX-License-Identifier: Apache-2.0
"""Indices as safetensors' own slicing takes them: integers and plain ranges, and nothing past the end."""

from __future__ import annotations

from typing import Any

from ._errors import SafetensorError


def sliced(tensor: Any, slices: Any, shape: list[int]) -> Any:
    """`tensor[slices]`, a view. Raises SafetensorError in safetensors' words."""
    if isinstance(slices, list):
        if slices:
            raise SafetensorError("Non empty lists are not implemented")
        return tensor[:0]
    parts = slices if isinstance(slices, tuple) else (slices,)
    indices = tuple(_index(part, i, extent) for i, (part, extent) in enumerate(zip(parts, shape)))
    for i in reversed(range(len(indices))):
        _check(indices, i, shape)
    return tensor[indices]


def _index(part: Any, dimension: int, extent: int) -> slice | int:
    if isinstance(part, slice):
        # safetensors knows no steps and no bounds counted from the end.
        for bound in (part.start, part.stop):
            if bound is not None and bound < 0:
                raise OverflowError("can't convert negative int to unsigned")
        return slice(part.start, part.stop)
    if isinstance(part, bool) or not hasattr(part, "__index__"):
        raise TypeError(f"slices: expected int or slice, found {type(part).__name__}")
    index = part.__index__()
    if index < 0:
        index += extent
        if index < 0:
            raise SafetensorError(f"Invalid index {index - extent} for dimension {dimension} of size {extent}")
    return index


def _check(indices: tuple[slice | int, ...], dimension: int, shape: list[int]) -> None:
    index, extent = indices[dimension], shape[dimension]
    if isinstance(index, int):
        start, stop = index, index + 1
    else:
        start = 0 if index.start is None else index.start
        stop = extent if index.stop is None else index.stop
    if start < extent and stop <= extent:
        return
    asked = start if start >= extent else stop - 1
    raise SafetensorError(
        f"Error during slicing [{', '.join(map(_text, indices))}] with shape {shape}:"
        f" index {asked} out of bounds for tensor dimension #{dimension} of size {extent}"
    )


def _text(index: slice | int) -> str:
    if isinstance(index, int):
        return str(index)
    return f"{'' if index.start is None else index.start}:{'' if index.stop is None else index.stop}"
