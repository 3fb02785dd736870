# SPDX-License-Identifier: Apache-2.0
"""safetensors.torch's functions, done natively: the same signatures, exceptions and bytes."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple, Union

import torch

from . import _files
from ._errors import Error, SafetensorError
from ._ferrule import LiveTensors
from ._safe_open import safe_open
from ._shared_memory import _find_shared_tensors, _remove_duplicate_names

__all__ = ["load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model"]


def _evaluate_tensors_for_save(tensors: Dict[str, torch.Tensor]) -> None:
    """Refuses what safetensors refuses, in its words."""
    if not isinstance(tensors, dict):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    sparse = []
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}")
        if tensor.layout != torch.strided:
            sparse.append(name)
    if sparse:
        raise ValueError(
            f"You are trying to save a sparse tensors: `{sparse}` which this library does not support."
            " You can make it a dense tensor before saving with `.to_dense()` but be aware this might"
            " make a much larger file than needed."
        )
    shared = [names for names in _find_shared_tensors(tensors) if len(names) > 1]
    if shared:
        raise RuntimeError(
            f"""
            Some tensors share memory, this will lead to duplicate memory on disk and potential differences when loading them again: {shared}.
            A potential way to correctly save your model is to use `save_model`.
            More information at https://huggingface.co/docs/safetensors/torch_shared_tensors
            """
        )


def _check_contiguous(tensors: Dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_contiguous():
            raise ValueError(
                f"You are trying to save a non contiguous tensor: `{name}` which is not allowed. It either means you"
                " are trying to save tensors which are reference of each other in which case it's recommended to save"
                " only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to"
                " pack it before saving."
            )


def _live(tensors: Dict[str, torch.Tensor]) -> LiveTensors:
    """The tensors for native code; looked at one by one in Python only if something is unusual."""
    try:
        live = LiveTensors(tensors, "torch")
    except (Error, TypeError) as error:
        _evaluate_tensors_for_save(tensors)
        _check_contiguous(tensors)
        for tensor in tensors.values():
            if tensor.device.type == "meta":
                tensor.to("cpu")  # Raises torch's own NotImplementedError.
        if isinstance(error, Error):
            raise SafetensorError.of("", error) from error
        raise
    if live.overlapping or not live.all_in_place:
        _evaluate_tensors_for_save(tensors)
        _check_contiguous(tensors)
    return live


def save(tensors: Dict[str, torch.Tensor], metadata: Optional[Dict[str, str]] = None) -> bytes:
    """The bytes of a safetensors file of these tensors.

    Tensors must be contiguous, dense and share no memory (save_model takes models that do); those on
    a device are copied to the host. Raises ValueError, RuntimeError (shared memory), TypeError,
    SafetensorError.
    """
    return _files.serialize(_live(tensors), metadata)


def save_file(
    tensors: Dict[str, torch.Tensor],
    filename: Union[str, os.PathLike],
    metadata: Optional[Dict[str, str]] = None,
):
    """Writes a safetensors file of these tensors, which appears whole or not at all.

    The GIL is released while it writes: do not change the tensors meanwhile. Nothing is flushed to
    the disk, as safetensors does it. Raises as save does.
    """
    _files.write(_live(tensors), filename, metadata)


def load(data: bytes) -> Dict[str, torch.Tensor]:
    """The tensors of a safetensors file in memory, over one copy of it. Raises SafetensorError."""
    return _files.deserialize(data, "torch")


def load_file(
    filename: Union[str, os.PathLike],
    device: Union[str, int] = "cpu",
    *,
    backend: str = "mmap",
) -> Dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    With backend="mmap" they are views of a private mapping: nothing is read before it is touched,
    writing to them never changes the file, but a program that truncates it takes the pages away
    (SIGBUS). backend="pread" reads it all into memory. Raises FileNotFoundError, SafetensorError.
    """
    with safe_open(filename, framework="pt", device=device, backend=backend) as file:
        return file.get_tensors()


def save_model(
    model: torch.nn.Module,
    filename: str,
    metadata: Optional[Dict[str, str]] = None,
    force_contiguous: bool = True,
):
    """Writes the state dict of a model, each shared tensor once.

    The names that are left out go into the metadata, each with the name that is kept.
    """
    state_dict = model.state_dict()
    for kept, removed in _remove_duplicate_names(state_dict).items():
        for name in removed:
            # The caller's own entries stay, and his dict gets ours, as in safetensors.
            metadata = {} if metadata is None else metadata
            metadata.setdefault(name, kept)
            del state_dict[name]
    if force_contiguous:
        state_dict = {name: tensor.contiguous() for name, tensor in state_dict.items()}
    try:
        save_file(state_dict, filename, metadata=metadata)
    except SafetensorError:
        raise
    except ValueError as error:
        raise ValueError(
            f"{error} Or use save_model(..., force_contiguous=True), read the docs for potential caveats."
        )


def load_model(
    model: torch.nn.Module,
    filename: Union[str, os.PathLike],
    strict: bool = True,
    device: Union[str, int] = "cpu",
    *,
    backend: str = "mmap",
) -> Tuple[List[str], List[str]]:
    """Loads what save_model wrote into a model; gives the missing and the unexpected names.

    With strict=True either of them is a RuntimeError.
    """
    state_dict = load_file(filename, device=device, backend=backend)
    to_remove = _remove_duplicate_names(model.state_dict(), preferred_names=list(state_dict))
    missing_names, unexpected = model.load_state_dict(state_dict, strict=False)
    missing = set(missing_names)
    for removed in to_remove.values():
        for name in removed:
            if name in missing:
                missing.remove(name)
            else:
                unexpected.append(name)
    if strict and (missing or unexpected):
        text = f"Error(s) in loading state_dict for {model.__class__.__name__}:"
        for what, names in (("Missing", missing), ("Unexpected", unexpected)):
            if names:
                listed = ", ".join(f'"{name}"' for name in sorted(names))
                text += f"\n    {what} key(s) in state_dict: {listed}"
        raise RuntimeError(text)
    return missing, unexpected
