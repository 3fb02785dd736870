# SPDX-License-Identifier: Apache-2.0
"""The report of save."""

from __future__ import annotations

from ._record import Field, Record, Report, records
from ._text import Table, count

__all__ = ["LeftOut", "SavedAdapter", "SaveReport"]


class SavedAdapter(Record):
    """One saved adapter."""

    __slots__ = ()

    name = Field[str]()
    directory = Field[str]()
    peft_type = Field[str]()
    tensor_count = Field[int]()
    parameters = Field[int]()
    file_bytes = Field[int]("The size of the weights file.")
    files = Field[list[str]]()


class LeftOut(Record):
    """A tensor that was not saved although a reader might expect it."""

    __slots__ = ()

    key = Field[str]()
    why = Field[str]()


class SaveReport(Report):
    """What save() wrote."""

    __slots__ = ()

    adapters = Field[list[SavedAdapter]]("In the order saved.", made=records(SavedAdapter))
    left_out = Field[list[LeftOut]](made=records(LeftOut))
    state_bytes = Field[int]("All tensors of the state dict.")
    saved_bytes = Field[int]("The weights files together.")

    def _table(self) -> Table:
        return ("adapter", "type", "directory", "tensors", "parameters", "bytes"), [
            (adapter.name, adapter.peft_type, adapter.directory, f"{adapter.tensor_count:,}",
             f"{adapter.parameters:,}", f"{adapter.file_bytes:,}") for adapter in self.adapters]

    def _summary(self) -> str:
        return f"{count(len(self.adapters), 'adapter')} saved, {self.saved_bytes:,} of {self.state_bytes:,} bytes"
