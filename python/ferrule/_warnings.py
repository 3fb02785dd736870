# SPDX-License-Identifier: Apache-2.0
"""Warnings that show the caller's line."""

from __future__ import annotations

import sys
import warnings

__all__ = ["outside", "warn"]


def outside() -> int:
    """The stacklevel, for warnings.warn() in the calling function, of the first line that is not in this package."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "ferrule":
        level, frame = level + 1, frame.f_back
    return level


def warn(text: str) -> None:
    """Warns about the line that called Ferrule."""
    warnings.warn(text, stacklevel=outside())
