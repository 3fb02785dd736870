# SPDX-License-Identifier: Apache-2.0
"""The report of fix."""

from __future__ import annotations

from .._ferrule import Finding
from ._record import FINDING_HEADER, Field, Record, Report, findings_of, records
from ._text import Table, count

__all__ = ["FixedAdapter", "FixedProblem", "FixReport"]


class FixedProblem(Record):
    """One kind of problem that was fixed."""

    __slots__ = ()

    what = Field[str](""""training-wrapper", "adapter-name", "key-prefix" ... (docs/cli.md).""")
    message = Field[str]()
    tensors = Field[int]()


class FixedAdapter(Record):
    """One adapter of a fixed directory."""

    __slots__ = ()

    folder = Field[str]("Its folder below the directory; empty for the directory itself.")
    fixed = Field[list[FixedProblem]](key="mended", made=records(FixedProblem))
    remaining = Field[list[Finding]](
        "What could only be fixed by guessing. Nothing is written if there is an error among them.", "left", findings_of)


class FixReport(Report):
    """What fix() did. True if no error remains: only then was anything written."""

    __slots__ = ()

    directory = Field[str]("Where it was written to.")
    in_place = Field[bool]()
    good = Field[bool]()
    written = Field[bool]()
    adapters = Field[list[FixedAdapter]](made=records(FixedAdapter))

    def _found(self) -> list[Finding]:
        return [finding for adapter in self.adapters for finding in adapter.remaining]

    def __bool__(self) -> bool:
        return self.good

    def _table(self) -> Table:
        fixed = [("fixed", problem.what, adapter.folder or ".", problem.message)
                 for adapter in self.adapters for problem in adapter.fixed]
        return FINDING_HEADER, [*fixed, *super()._table()[1]]

    def _summary(self) -> str:
        fixed = sum(len(adapter.fixed) for adapter in self.adapters)
        text = f"{self.directory}: {count(fixed, 'problem')} fixed, {len(self.findings):,} remaining"
        return text if self.written else text + "; nothing was written"
