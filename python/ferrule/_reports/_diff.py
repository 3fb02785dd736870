# SPDX-License-Identifier: Apache-2.0
"""The report of diff."""

from __future__ import annotations

from typing import Any, Literal, Optional

from ._record import Field, Record, Report, records
from ._text import Table, number

__all__ = ["ConfigDiff", "DiffReport", "ModuleDiff", "TensorDiff"]

Shape = Optional[tuple[int, ...]]


class _Measure(Record, abstract=True):
    __slots__ = ()

    verdict = Field[Literal["same", "scaled", "different", "only_a", "only_b", "shape"]]()
    factor = Field[Optional[float]]("B over A if same or scaled, otherwise None.")
    relative_distance = Field[Optional[float]]("|a - b| / |a|; None if it does not exist.")
    cosine = Field[Optional[float]]()


class TensorDiff(_Measure):
    """One tensor as it is in the two files."""

    __slots__ = ()

    tensor = Field[str]()
    largest_difference = Field[Optional[float]]()

    @property
    def dtypes(self) -> tuple[str | None, str | None]:
        return self._fields["dtype_a"], self._fields["dtype_b"]

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        a, b = self._fields["shape_a"], self._fields["shape_b"]
        return None if a is None else tuple(a), None if b is None else tuple(b)


class ModuleDiff(_Measure):
    """The updates of one module compared."""

    __slots__ = ()

    module = Field[str]("The path on disk, without ``base_model.model.``; empty for what belongs to the whole model.")
    tensors = Field[list[TensorDiff]]("If they were asked for.", made=records(TensorDiff), default=())


class ConfigDiff(Record):
    """A field of the configs with another meaning."""

    __slots__ = ()

    field = Field[str]()
    a = Field[Any]()
    b = Field[Any]()


class DiffReport(Report, _Measure):
    """How two adapters differ in what they do to a base."""

    __slots__ = ()

    modules = Field[list[ModuleDiff]]("Sorted by path.", made=records(ModuleDiff))
    config = Field[list[ConfigDiff]]("Fields that mean something else.", made=records(ConfigDiff))

    @property
    def same(self) -> bool:
        return self.verdict == "same"

    def _table(self) -> Table:
        return ("module", "verdict", "factor", "distance", "cosine"), [
            (module.module or "(the model)", module.verdict, number(module.factor),
             number(module.relative_distance), number(module.cosine)) for module in self.modules]

    def _summary(self) -> str:
        text = self.verdict
        if self.verdict == "scaled":
            text += f": b is {number(self.factor)} times a"
        if self.relative_distance is not None:
            text += f", relative distance {number(self.relative_distance)}"
        return text
