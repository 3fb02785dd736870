# SPDX-License-Identifier: Apache-2.0
"""The report of merge and unmerge."""

from __future__ import annotations

from ._record import Field, Record, Report, records
from ._text import Table, count

__all__ = ["MergedFile", "MergeReport"]


class MergedFile(Record):
    """A file of weights of the model that was written."""

    __slots__ = ()

    file = Field[str]()
    bytes = Field[int]()
    changed = Field[list[str]]("Tensors whose values an adapter changed.")
    added = Field[list[str]]("Tensors that the base does not have.")
    linked = Field[bool]("It is the base's own file under a second name.")
    resumed = Field[bool]("A merge before this one had completed it.")


class MergeReport(Report):
    """What merge() or unmerge() wrote."""

    __slots__ = ()

    output = Field[str]()
    in_place = Field[bool]()
    modules = Field[int]("Modules of all adapters.")
    changed_tensors = Field[int]()
    untied = Field[bool]("The head is no longer tied to the embedding.")
    bytes_written = Field[int]()
    files = Field[list[MergedFile]](made=records(MergedFile))
    copied = Field[list[str]]("Other files and folders that came along.")
    left_out = Field[list[str]]("Files with the base's weights in another format, which were left behind.")

    def _table(self) -> Table:
        return ("file", "bytes", "changed", "linked"), [
            (row.file, f"{row.bytes:,}", f"{len(row.changed):,}", "yes" if row.linked else "no") for row in self.files]

    def _summary(self) -> str:
        return (f"{self.output}: {count(self.modules, 'module')}, {count(self.changed_tensors, 'tensor')} changed, "
                f"{self.bytes_written:,} bytes written")
