# SPDX-License-Identifier: Apache-2.0
"""Saves, opens and verifies PEFT adapters natively."""

from ._errors import (
    CorruptError,
    Error,
    InvalidArgumentError,
    IoError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
)
from ._ferrule import __version__, peft_version

__all__ = [
    "CorruptError",
    "Error",
    "InvalidArgumentError",
    "IoError",
    "LimitExceededError",
    "NotFoundError",
    "PermissionDeniedError",
    "UnsupportedError",
    "__version__",
    "peft_version",
]
