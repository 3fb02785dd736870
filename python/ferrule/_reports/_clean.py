# SPDX-License-Identifier: Apache-2.0
"""The report of clean."""

from __future__ import annotations

from .._errors import CorruptError, Error
from ._record import Field, Report, errors_of
from ._text import Table

__all__ = ["CleanReport"]


class CleanReport(Report):
    """What clean() did. True if nothing remains but what running saves use."""

    __slots__ = ()

    folder = Field[str]()
    removed = Field[list[str]]()
    in_use = Field[list[str]]("Of saves that are running.")
    kept = Field[list[str]]("Another user's, or with files of a directory that does not exist any more: look at them.")
    errors = Field[list[Error]]("What could not be listed or removed, and why.", made=errors_of)

    def raise_for_errors(self) -> None:
        """Raises the first of errors, or CorruptError if something was kept."""
        for error in self.errors:
            raise error
        if self.kept:
            raise CorruptError("it is another user's, or holds files of a directory that does not exist any more",
                               path=self.kept[0])

    def __bool__(self) -> bool:
        return not self.errors and not self.kept

    def _table(self) -> Table:
        return ("path", ""), [
            *((path, "removed") for path in self.removed), *((path, "in use") for path in self.in_use),
            *((path, "kept") for path in self.kept), *((error.path, error.message) for error in self.errors)]

    def _summary(self) -> str:
        return f"{self.folder}: {len(self.removed):,} removed, {len(self.in_use):,} in use, {len(self.kept):,} kept"
