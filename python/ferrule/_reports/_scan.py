# SPDX-License-Identifier: Apache-2.0
"""The report of scan."""

from __future__ import annotations

from typing import Literal, Optional

from .._errors import CorruptError, Error
from ._record import Field, Record, Report, error_from, records
from ._text import Table, count

__all__ = ["ScanHit", "ScannedFile", "ScanReport"]

Severity = Literal["dangerous", "unknown", "training_state"]


class ScanHit(Record):
    """What unpickling would import or call."""

    __slots__ = ()

    severity = Field[Severity]()
    entry = Field[str]("The entry of an archive that holds the pickle; empty for a bare one.")
    offset = Field[int]()
    opcode = Field[str]()
    name = Field[Optional[str]]('''The global, "os.system"; None if it is computed.''', "global")
    why = Field[str]()


class ScannedFile(Record):
    """One file that was scanned."""

    __slots__ = ()

    path = Field[str]()
    severity = Field[Optional[Severity]]("The worst of what was found; None if nothing was.")
    examined = Field[bool]("False if it is of a kind that is not looked into: nothing is said about it.")
    pickles = Field[int]("Those that were read to their end.")
    would_run = Field[list[ScanHit]](made=records(ScanHit))
    not_read = Field[list[dict[str, str]]]("Parts that could not be read to their end: entry, rule, message.")
    system_error = Field[Optional[Error]]("Why it could not be opened.", "error", error_from)


class ScanReport(Report):
    """What scan() found. True if nothing fails it."""

    __slots__ = ()

    good = Field[bool]()
    verdict = Field[Literal["clean", "training_state", "unknown", "dangerous", "error"]](
        '''The worst of all files; "error" if one could not be opened.''')
    counts = Field[dict[str, int]]("files, pickles, not_examined, dangerous, unknown, training_state, errors.")
    files = Field[list[ScannedFile]]("Sorted by path, for each path given.", made=records(ScannedFile))
    out_of_scope = Field[list[str]]("What a scan does not look at.")

    def raise_for_errors(self) -> None:
        """Raises why a file could not be opened, or CorruptError if something fails the scan."""
        files = self.files
        for file in files:
            if file.system_error is not None:
                raise file.system_error
        if self.good:
            return
        for file in files:
            if file.severity == self.verdict:
                hit = next((hit for hit in file.would_run if hit.severity == self.verdict), None)
                raise CorruptError(f"{self.verdict}: {hit.why if hit else 'it was not read to its end'}", "PK-3",
                                   file.path)

    def __bool__(self) -> bool:
        return self.good

    def _table(self) -> Table:
        files = self.files
        rows = [(hit.severity, hit.name or hit.opcode, file.path + (f"!{hit.entry}" if hit.entry else ""), hit.why)
                for file in files for hit in file.would_run]
        rows += [("unknown", "-", file.path, f"not read to its end: {gap['message']}")
                 for file in files for gap in file.not_read]
        rows += [("error", "-", file.path, file.system_error.message)
                 for file in files if file.system_error is not None]
        return ("severity", "global", "file", "why"), rows

    def _summary(self) -> str:
        counts = self.counts
        found = ", ".join(count(counts[name], "file") + f" {text}" for name, text in (
            ("dangerous", "dangerous"), ("unknown", "unknown"), ("training_state", "with training state"))
            if counts[name])
        unread = f"{count(counts['errors'], 'file')} could not be opened" if counts["errors"] else ""
        said = ", ".join(filter(None, (found, unread)))
        return (f"{count(counts['files'], 'file')}, {count(counts['pickles'], 'pickle')}: "
                f"{said or 'nothing found that would run'}")
