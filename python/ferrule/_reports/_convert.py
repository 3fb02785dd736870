# SPDX-License-Identifier: Apache-2.0
"""The reports of convert, to a format of weights or to another program's form, and of normalize."""

from __future__ import annotations

from typing import Any, Optional

from ._record import Field, Record, Report, records
from ._text import Table, count, number

__all__ = ["ConvertedAdapter", "ConvertReport", "ExchangeReport", "NormalizeReport"]


class ConvertedAdapter(Record):
    """One adapter of a converted directory."""

    __slots__ = ()

    folder = Field[str]("Its folder below the directory; empty for the directory itself.")
    source = Field[str]("The name of the weights file that was read.", "from")
    target = Field[str]("The name of the weights file that was written.", "to")
    tensor_count = Field[int]()
    source_bytes = Field[int](key="from_bytes")
    copied = Field[list[str]]("Names of the other files that were copied.")


class ConvertReport(Report):
    """What convert() wrote."""

    __slots__ = ()

    directory = Field[str]("Where it was written to.")
    in_place = Field[bool]()
    adapters = Field[list[ConvertedAdapter]](made=records(ConvertedAdapter))

    def _table(self) -> Table:
        return ("folder", "from", "to", "tensors", "bytes"), [
            (adapter.folder or ".", adapter.source, adapter.target, f"{adapter.tensor_count:,}",
             f"{adapter.source_bytes:,}") for adapter in self.adapters]

    def _summary(self) -> str:
        return f"{self.directory}: {count(len(self.adapters), 'adapter')} converted"


class ExchangeReport(Report):
    """What convert() to another program's form did."""

    __slots__ = ()

    source = Field[str]("The dialect that was read.", "from")
    target = Field[str]("The dialect that was written.", "to")
    output = Field[str]("Where it was written to.")
    sites = Field[int]("How many modules the adapter changes.")
    kept = Field[list[str]]("Keys that are the same in the output.")
    renamed = Field[list[dict[str, str]]]("""Keys that have another name ("from", "to"), one for each module.""")
    folded = Field[list[dict[str, Any]]](
        """Strengths that were multiplied into factors ("site", "factor", "exact").""")
    rounded = Field[list[dict[str, str]]]("""Tensors that were rounded ("key", "dtype").""")
    dropped = Field[list[str]]("Keys that were left out, as `drop` allowed.")
    notes = Field[list[str]]()
    largest_error = Field[float]("Of any module's update in the output, relative to the source's.")

    def _table(self) -> Table:
        return ("from", "to"), [(entry["from"], entry["to"]) for entry in self.renamed]

    def _summary(self) -> str:
        return (f"{self.output}: {self.source} to {self.target}, {count(self.sites, 'module')}, largest error "
                f"{number(self.largest_error)}")


class NormalizeReport(Report):
    """What normalize() wrote."""

    __slots__ = ()

    directory = Field[str]("Where it was written to.")
    in_place = Field[bool]()
    weights_file = Field[str]()
    rank = Field[int]("The config's r.")
    modules = Field[int]()
    padded = Field[int]("Modules whose rank was padded with zeros.")
    folded = Field[int]("Modules whose strength was folded into a factor.")
    exact = Field[bool]("Whether no value was rounded.")
    largest_relative_error = Field[Optional[float]]("Of an update, measured; None if it is not finite.")
    worst_module = Field[Optional[str]]()
    copied = Field[list[str]]("Names of the other files that were copied.")

    def _summary(self) -> str:
        error = "nothing was rounded" if self.exact else f"largest relative error {number(self.largest_relative_error)}"
        return (f"{self.directory}: {count(self.modules, 'module')} of strength 1, r {self.rank:,} ({self.padded:,} "
                f"padded, {self.folded:,} folded), {error}")
