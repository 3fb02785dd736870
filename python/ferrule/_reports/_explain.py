# SPDX-License-Identifier: Apache-2.0
"""The report of explain."""

from __future__ import annotations

from html import escape
from typing import Iterator, Optional

from ._record import Field, Record, Report, records
from ._text import Table, count, html_table, number

__all__ = ["ExplainedModule", "ExplainReport", "PatternUse"]


class ExplainedModule(Record):
    """One adapted module and the factor on its update."""

    __slots__ = ()

    module = Field[str]("The path on disk, without ``base_model.model.``.")
    strength = Field[Optional[float]]("None if the method has none.")
    rank = Field[Optional[float]]()
    alpha = Field[Optional[float]]()
    rule = Field[str]("Which pattern or default won.")


class PatternUse(Record):
    """An entry of rank_pattern or alpha_pattern, and how many modules follow it."""

    __slots__ = ()

    field = Field[str]()
    pattern = Field[str]()
    value = Field[float]()
    modules = Field[int]("0: no module matches it, or an earlier entry wins.")


class ExplainReport(Report):
    """The strength of every module, and where it comes from."""

    __slots__ = ()

    path = Field[str]()
    peft_type = Field[str]()
    modules = Field[list[ExplainedModule]]("Sorted by path.", made=records(ExplainedModule))
    patterns = Field[list[PatternUse]]("In the order of the file.", made=records(PatternUse))

    def __len__(self) -> int:
        return len(self._fields["modules"])

    def __iter__(self) -> Iterator[ExplainedModule]:
        return iter(self.modules)

    def __bool__(self) -> bool:
        return True

    def _table(self) -> Table:
        return ("module", "strength", "rank", "alpha", "rule"), [
            (module.module, number(module.strength), number(module.rank), number(module.alpha), module.rule)
            for module in self.modules]

    def _summary(self) -> str:
        counts: dict[float | None, int] = {}
        for module in self.modules:
            counts[module.strength] = counts.get(module.strength, 0) + 1
        parts = [f"{amount:,} at {'no strength' if strength is None else number(strength)}"
                 for strength, amount in counts.items()]
        return f"{count(len(self), 'module')} of {self.peft_type}" + (f": {', '.join(parts)}" if parts else "")

    def _repr_html_(self) -> str:
        strengths = [abs(module.strength or 0) for module in self.modules]
        highest = max(strengths, default=0) or 1
        bars = [f'<meter min="0" max="{highest:g}" value="{strength:g}"></meter>' for strength in strengths]
        return html_table(*self._table(), bars) + f"<p>{escape(self._summary())}</p>"
