# SPDX-License-Identifier: Apache-2.0
"""Tables and numbers of reports, as text and as HTML."""

from __future__ import annotations

from html import escape
from typing import Iterable, Sequence

__all__ = ["Table", "columns", "count", "html_table", "number"]

#: A header and rows.
Table = tuple[Sequence[str], list[tuple[str, ...]]]

#: Rows of a table that are shown at most; to_dict() has all.
_MAX_ROWS = 100


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def count(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a text table."""
    table = [tuple(header), *map(tuple, rows)]
    hidden = len(table) - 1 - _MAX_ROWS
    table = table[: _MAX_ROWS + 1]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    return [*lines, f"... and {hidden:,} more"] if hidden > 0 else lines


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], bars: Sequence[str] = ()) -> str:
    """The same as HTML. `bars` are HTML, one at the end of each row."""
    rows = list(rows)
    lines: list[str] = []
    for i, row in enumerate(rows[:_MAX_ROWS]):
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{cells}{f'<td>{bars[i]}</td>' if bars else ''}</tr>")
    more = f"<p>... and {len(rows) - _MAX_ROWS:,} more</p>" if len(rows) > _MAX_ROWS else ""
    head = "".join(f"<th>{escape(title)}</th>" for title in header) + ("<th></th>" if bars else "")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"
