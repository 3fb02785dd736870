# SPDX-License-Identifier: Apache-2.0
"""PEFT's save and load through Ferrule."""

from typing import TYPE_CHECKING, Any

from .._pending import PendingSave
from .._pending import wait_for as wait
from ._load import from_pretrained
from ._patch import patch, unpatch
from ._save import save_pretrained

if TYPE_CHECKING:
    from ._callback import AsyncSaveCallback
    from ._lightning import LightningSaveCallback

__all__ = [
    "AsyncSaveCallback",
    "LightningSaveCallback",
    "PendingSave",
    "from_pretrained",
    "patch",
    "save_pretrained",
    "unpatch",
    "wait",
]


def __getattr__(name: str) -> Any:
    # transformers' Trainer and Lightning are slow to import, and most users of this package do not use them.
    if name == "AsyncSaveCallback":
        from ._callback import AsyncSaveCallback

        return AsyncSaveCallback
    if name == "LightningSaveCallback":
        from ._lightning import LightningSaveCallback

        return LightningSaveCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
