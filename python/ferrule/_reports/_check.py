# SPDX-License-Identifier: Apache-2.0
"""The report of check."""

from __future__ import annotations

from typing import Literal

from .._errors import CorruptError, UnsupportedError
from ._record import Field, Report
from ._text import count

__all__ = ["CheckReport"]


class CheckReport(Report):
    """What check() found. True if the verdict is "ok" or "warn"."""

    __slots__ = ()

    verdict = Field[Literal["ok", "warn", "bad", "unknown"]](
        """"ok": all of it applies; "warn": so it does, with something to know; "bad": some of it does not apply, or
        not as it was meant; "unknown": only the base's config was given.""")
    matched = Field[int]("Modules that the base has under exactly that name, with all shapes right.", "modules.matched")
    total = Field[int]("Modules that have tensors in the file.", "modules.total")

    @property
    def good(self) -> bool:
        """Whether the verdict is "ok" or "warn"."""
        return self.verdict in ("ok", "warn")

    def raise_for_errors(self) -> None:
        """Raises CorruptError for "bad", UnsupportedError for "unknown"."""
        super().raise_for_errors()
        if self.verdict == "unknown":
            raise UnsupportedError("only the base's config was given: its modules were not checked")
        if not self.good:
            raise CorruptError(self._summary())

    def __bool__(self) -> bool:
        return self.good

    def _summary(self) -> str:
        return f"{self.verdict}, {self.matched:,} of {count(self.total, 'module')} found in the base"
