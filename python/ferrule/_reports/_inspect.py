# SPDX-License-Identifier: Apache-2.0
"""The reports of inspect."""

from __future__ import annotations

import copy
from typing import Any, Iterator, Optional

from .._errors import Error
from .._ferrule import Finding
from ._record import Field, Record, Report, error_from, errors_of, records
from ._text import Table, count, number

__all__ = ["AdapterSummary", "ContainerSummary", "FolderSummary", "TensorSummary", "TensorTotals", "summary_of"]


class TensorTotals(Record):
    """Tensors by number."""

    __slots__ = ()

    tensors = Field[int](key="tensor_count")
    parameters = Field[int]()
    bytes = Field[int](key="tensor_bytes")
    dtypes = Field[dict[str, int]]("Tensors of each dtype.")

    def __str__(self) -> str:
        dtypes = ", ".join(self.dtypes)
        return f"{count(self.tensors, 'tensor')}, {count(self.parameters, 'parameter')}" + (dtypes and f", {dtypes}")


def _shape(sizes: list[int]) -> tuple[int, ...]:
    return tuple(sizes)


class TensorSummary(Record):
    """One tensor by name, without its content."""

    __slots__ = ()

    name = Field[str]()
    dtype = Field[str]()
    shape = Field[tuple[int, ...]](made=_shape)
    nbytes = Field[int](key="bytes")


class _Summary(Report, abstract=True):
    __slots__ = ()

    file_bytes = Field[int]("Of the weights, in bytes.")
    tensors = Field[list[TensorSummary]]("In the order of the file.", made=records(TensorSummary), default=())

    @property
    def totals(self) -> TensorTotals:
        return TensorTotals({name: self._fields[name]
                             for name in ("tensor_count", "parameters", "tensor_bytes", "dtypes")})

    def to_dict(self, *, tensors: bool = False) -> dict[str, Any]:
        """The document of ``ferrule inspect --json``; with `tensors` that of ``--tensors``. A copy."""
        return copy.deepcopy({name: value for name, value in self._fields.items() if tensors or name != "tensors"})


def _text(value: str | None) -> str:
    return value or ""


class AdapterSummary(_Summary):
    """One adapter in few words, and whether it is good. Only headers and configs were read for it. True if it is
    good."""

    __slots__ = ()

    directory = Field[str](key="path")
    good = Field[bool]()
    peft_type = Field[str]("Empty if the config could not be read.", made=_text)
    task_type = Field[Optional[str]]()
    base_model = Field[Optional[str]](key="base_model_name_or_path")
    rank = Field[Optional[int]]()
    alpha = Field[Optional[float]]()
    weights_file = Field[str](made=_text)
    modules = Field[list[dict[str, Any]]](
        "Path, rank, alpha, strength, rule and roles of each module, sorted by path; empty in a folder's list.",
        default=[])
    system_error = Field[Optional[Error]](
        "The system error that prevented a verdict; not raised.", "error", error_from, None)

    def raise_for_errors(self) -> None:
        """Raises what made it unreadable, or CorruptError with the first error among the findings."""
        if self.system_error is not None:
            raise self.system_error
        super().raise_for_errors()

    def __bool__(self) -> bool:
        return self.good

    def _summary(self) -> str:
        kind = f"{self.peft_type}, " if self.peft_type else ""
        rank = f"rank {self.rank}, " if self.rank is not None else ""
        return f"{self.directory}: {kind}{rank}{self.totals}, {'good' if self.good else 'bad'}"


class FolderSummary(_Summary):
    """The adapters of a folder and of all folders below it. True if all of them are good."""

    __slots__ = ()

    directory = Field[str](key="path")
    good = Field[bool]()
    adapters = Field[list[AdapterSummary]]("Sorted by path.", made=records(AdapterSummary))
    directories = Field[int]("Folders looked into.")
    unreadable = Field[list[Error]]("Folders that could not be listed, and why.", made=errors_of)
    bad = Field[int]("Adapters that are not good.", "bad_count")

    def _found(self) -> list[Finding]:
        return [finding for adapter in self.adapters for finding in adapter.findings]

    def raise_for_errors(self) -> None:
        """Raises why a folder could not be listed or an adapter not be read, or CorruptError with the first error."""
        for error in (*self.unreadable, *(adapter.system_error for adapter in self.adapters)):
            if error is not None:
                raise error
        super().raise_for_errors()

    def __len__(self) -> int:
        return len(self._fields["adapters"])

    def __iter__(self) -> Iterator[AdapterSummary]:
        return iter(self.adapters)

    def __bool__(self) -> bool:
        return self.good

    def _table(self) -> Table:
        return ("adapter", "type", "rank", "alpha", "tensors", "bytes", ""), [
            (one.directory, one.peft_type or "-", number(one.rank), number(one.alpha), f"{one.totals.tensors:,}",
             f"{one.file_bytes:,}", "good" if one.good else "BAD") for one in self.adapters]

    def _summary(self) -> str:
        unread = f", {count(len(self.unreadable), 'folder')} could not be read" if self.unreadable else ""
        return f"{self.directory}: {count(len(self), 'adapter')}, {self.bad:,} bad{unread}"


class ContainerSummary(_Summary):
    """A file, or a checkpoint of several: what its headers say."""

    __slots__ = ()

    files = Field[list[str]]()
    container = Field[str](""""safetensors", "safetensors index", "torch" ...""")
    metadata = Field[dict[str, str]]("Of a single safetensors file.")

    def __bool__(self) -> bool:
        return True

    def _table(self) -> Table:
        return ("tensor", "dtype", "shape", "bytes"), [
            (one.name, one.dtype, str(list(one.shape)), f"{one.nbytes:,}") for one in self.tensors]

    def _summary(self) -> str:
        return f"{self._fields['path']}: {self.container}, {self.totals}"


def summary_of(document: dict[str, Any]) -> AdapterSummary | FolderSummary | ContainerSummary:
    """The report of that kind."""
    kinds: dict[str, type[AdapterSummary | FolderSummary | ContainerSummary]] = {
        "adapter": AdapterSummary, "folder": FolderSummary, "file": ContainerSummary}
    return kinds[document["kind"]](document)
