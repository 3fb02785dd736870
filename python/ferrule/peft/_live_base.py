# SPDX-License-Identifier: Apache-2.0
"""A live base model: its layers, to give them back, and its names and shapes, to check an adapter against."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import tempfile
from typing import Any

import torch

from .. import _ferrule
from .._errors import Error


class Layers:
    """The modules of a model as they are now. PEFT puts its own in their place, and leaves them there if it fails."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._names = set(vars(model))
        self._modules = [(module, dict(module._modules)) for module in model.modules()]
        self._trained = [(parameter, parameter.requires_grad) for parameter in model.parameters()]

    def restore(self) -> None:
        for module, children in self._modules:
            module._modules.clear()
            module._modules.update(children)
        for parameter, wanted in self._trained:
            with contextlib.suppress(RuntimeError):  # Of a dtype that has no gradients.
                parameter.requires_grad_(wanted)
        for name in set(vars(self._model)) - self._names:  # PEFT's notes on the model ("peft_config").
            delattr(self._model, name)


def why_not(model: torch.nn.Module, adapter: str) -> tuple[str, str] | None:
    """The rule and the message of the first error that `ferrule check` finds between the adapter and this model."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            _write_header(model, path)
            base = _ferrule.BaseModel.open(path)
            report = _ferrule.check(_ferrule.Adapter.open(adapter, allow_errors=True), base, [], None, False, False, None)
    except (Error, OSError):
        return None  # PEFT's own error says more.
    for finding in report["findings"]:
        if finding["severity"] == "error":
            text = f"{finding['key']}: " if finding["key"] else ""
            advice = f"; {finding['advice']}" if finding["advice"] else ""
            return finding["rule"], f"{text}{finding['message']}{advice}"
    return None


def _write_header(model: torch.nn.Module, path: str) -> None:
    """A safetensors file with the model's names and shapes and without its bytes: a hole, which takes no space."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            size = tensor.numel()
            # Of one byte, so that the file is small; bytes that are packed values stay known as such.
            dtype = "U8" if tensor.dtype == torch.uint8 else "I8"
            header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
