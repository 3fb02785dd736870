# SPDX-License-Identifier: Apache-2.0
"""The reports of combine, resize, extract and to_lora."""

from __future__ import annotations

from typing import Optional

from ._record import Field, Record, Report, records
from ._text import Table, count, number

__all__ = ["CombineReport", "ExtractReport", "FactoredModule", "OtherTensor", "ResizeReport", "ToLoraReport"]


class FactoredModule(Record):
    """A module whose update was written as a product B A."""

    __slots__ = ()

    module = Field[str]("Its path in the base model.")
    rank = Field[int]()
    rank_before = Field[int]("0 if it was not a product.")
    norm = Field[Optional[float]]("The Frobenius norm of the exact update.")
    relative_error = Field[Optional[float]]("|exact - written| / |exact|.")
    singular_values = Field[list[float]](
        "Of the exact update, descending, as far as they were computed; empty if they were not needed.")


class OtherTensor(Record):
    """A tensor that changed and is not in A and B."""

    __slots__ = ()

    tensor = Field[str]()
    relative_change = Field[Optional[float]]()
    kept = Field[bool]()


class _Factored(Report, abstract=True):
    __slots__ = ()

    output = Field[str]("Where it was written to.")
    weights_file = Field[str]()
    parameters = Field[int]("Elements of all A and B.")
    relative_error = Field[Optional[float]]("|exact - written| / |exact|, over all modules.")
    modules = Field[list[FactoredModule]]("Sorted by path.", made=records(FactoredModule))

    def _table(self) -> Table:
        return ("module", "rank", "norm", "relative error"), [
            (row.module, f"{row.rank:,}", number(row.norm), number(row.relative_error)) for row in self.modules]

    def _summary(self) -> str:
        return (f"{self.output}: {count(len(self.modules), 'module')}, {count(self.parameters, 'parameter')}, "
                f"relative error {number(self.relative_error)}")


class CombineReport(_Factored):
    """What combine() wrote."""

    __slots__ = ()


class ResizeReport(_Factored):
    """What resize() wrote."""

    __slots__ = ()

    in_place = Field[bool]()
    parameters_before = Field[int]()
    copied = Field[list[str]]("Names of the other files that were copied.")


class ExtractReport(_Factored):
    """What extract() wrote."""

    __slots__ = ()

    unchanged = Field[int]("Layers that did not change.")
    others = Field[list[OtherTensor]](
        "What changed besides: norms, biases, embeddings. Sorted by name.", made=records(OtherTensor))


class ToLoraReport(_Factored):
    """What to_lora() wrote."""

    __slots__ = ()

    source_type = Field[str]('''The PEFT type that it was: "LOHA".''', "from")
