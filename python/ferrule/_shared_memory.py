# SPDX-License-Identifier: Apache-2.0
"""Which tensors of torch share memory, by safetensors' rules: its functions, by their names."""

from __future__ import annotations

from collections import defaultdict
from typing import Dict, List, Optional, Set

import torch

_SIZE = {
    getattr(torch, name): size
    for size, names in {
        8: "int64 uint64 float64 complex64",
        4: "int32 uint32 float32",
        2: "int16 uint16 float16 bfloat16",
        1: "int8 uint8 bool float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2",
    }.items()
    for name in names.split()
    if hasattr(torch, name)
}


def storage_ptr(tensor: torch.Tensor) -> int:
    """The address of the tensor's storage; 0 if it does not have one (meta, DTensor)."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return 0


def storage_size(tensor: torch.Tensor) -> int:
    """Bytes of the tensor's storage."""
    return tensor.untyped_storage().nbytes()


def _end_ptr(tensor: torch.Tensor) -> int:
    """The address after the last element."""
    start = tensor.data_ptr()
    if tensor.nelement() == 0:
        return start
    last = sum((extent - 1) * stride for extent, stride in zip(tensor.shape, tensor.stride()))
    return start + (last + 1) * _SIZE[tensor.dtype]


def _is_complete(tensor: torch.Tensor) -> bool:
    """Whether the tensor is all of its storage."""
    whole = tensor.nelement() * _SIZE[tensor.dtype] == storage_size(tensor)
    return whole and tensor.data_ptr() == storage_ptr(tensor)


def _filter_shared_not_shared(tensors: List[Set[str]], state_dict: Dict[str, torch.Tensor]) -> List[Set[str]]:
    """Splits names of one storage into those whose bytes overlap."""
    found: List[Set[str]] = []
    for names in tensors:
        if len(names) < 2:
            found.append(names)
            continue
        areas = sorted((state_dict[name].data_ptr(), _end_ptr(state_dict[name]), name) for name in names)
        last_stop = None
        for start, stop, name in areas:
            if last_stop is not None and start < last_stop:
                found[-1].add(name)
            else:
                found.append({name})
            last_stop = stop
    return found


def _find_shared_tensors(state_dict: Dict[str, torch.Tensor]) -> List[Set[str]]:
    """Names in groups that share bytes; most groups are of one. Meta and empty tensors are in none."""
    storages: Dict[tuple, Set[str]] = defaultdict(set)
    for name, tensor in state_dict.items():
        if tensor.device.type == "meta":
            continue
        pointer, size = storage_ptr(tensor), storage_size(tensor)
        if pointer != 0 and size != 0:
            storages[(tensor.device, pointer, size)].add(name)
    # Sorting sets sorts by inclusion: it leaves disjoint ones as they were found, as safetensors does.
    return _filter_shared_not_shared(sorted(storages.values()), state_dict)


def _remove_duplicate_names(
    state_dict: Dict[str, torch.Tensor],
    *,
    preferred_names: Optional[List[str]] = None,
    discard_names: Optional[List[str]] = None,
) -> Dict[str, List[str]]:
    """For each name that is kept, those that share its memory and go.

    Kept is a tensor that covers its storage: one of preferred_names if there is one, else one that
    is not among discard_names, else the first by name. Raises RuntimeError if none covers it.
    """
    preferred, discarded = set(preferred_names or ()), set(discard_names or ())
    to_remove: Dict[str, List[str]] = defaultdict(list)
    for shared in _find_shared_tensors(state_dict):
        complete = {name for name in shared if _is_complete(state_dict[name])}
        if not complete:
            raise RuntimeError(
                "Error while trying to find names to remove to save state dict, but found no suitable name to keep"
                f" for saving amongst: {shared}. None is covering the entire storage.Refusing to save/load the model"
                " since you could be storing much more memory than needed. Please refer to"
                " https://huggingface.co/docs/safetensors/torch_shared_tensors for more information. Or open an"
                " issue."
            )
        keep = min((preferred & complete) or (complete - discarded) or complete)
        for name in sorted(shared - {keep}):
            to_remove[keep].append(name)
    return to_remove
