# SPDX-License-Identifier: Apache-2.0
"""PEFT's save and load through Ferrule."""

from typing import Any

from .._pending import PendingSave
from .._pending import wait_for as wait
from ._load import from_pretrained
from ._patch import patch, unpatch
from ._save import save_pretrained

__all__ = [
    "AsyncSaveCallback",
    "PendingSave",
    "from_pretrained",
    "patch",
    "save_pretrained",
    "unpatch",
    "wait",
]


def __getattr__(name: str) -> Any:
    # transformers' Trainer is slow to import, and most users of this package do not use it.
    if name == "AsyncSaveCallback":
        from ._callback import AsyncSaveCallback

        return AsyncSaveCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
