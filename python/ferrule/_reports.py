# SPDX-License-Identifier: Apache-2.0
"""Reports of the verbs: read-only views of the documents that the commands print with --json."""

from __future__ import annotations

import copy
from html import escape
from typing import Any, Iterable, Iterator, Literal, Sequence

from ._errors import CorruptError, Error, UnsupportedError, error_of
from ._ferrule import Finding

__all__ = [
    "CheckReport",
    "CleanReport",
    "ConfigDiff",
    "ConvertedAdapter",
    "ConvertReport",
    "DiffReport",
    "ExplainedModule",
    "ExchangeReport",
    "ExplainReport",
    "FixedAdapter",
    "FixedProblem",
    "FixReport",
    "LeftOut",
    "ModuleDiff",
    "NormalizeReport",
    "PatternUse",
    "SavedAdapter",
    "SaveReport",
    "TensorDiff",
]

#: Rows of a table that are shown at most; to_dict() has all.
_MAX_ROWS = 100


class Record:
    """A part of a report. Read-only; equal if all fields are."""

    __slots__ = ("_fields",)
    _fields: dict[str, Any]

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if not abstract:
            cls.__module__ = "ferrule"  # Where it is found, whatever file it is in.

    def __init__(self, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_fields", fields)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._fields,)

    def to_dict(self) -> dict[str, Any]:
        """Its fields as in the document of the command's --json. A copy."""
        return copy.deepcopy(self._fields)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._fields.items()
                          if not isinstance(value, (list, dict)) and value not in (None, ""))
        return f"<ferrule.{type(self).__name__} {shown}>"


def _findings(documents: Iterable[dict[str, str]]) -> list[Finding]:
    return [Finding(**document) for document in documents]


def raise_first_error(findings: Iterable[Finding]) -> None:
    """Raises CorruptError with the first error among the findings, if there is one."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1:,} more)" if len(errors) > 1 else ""
        key = f"{first.key}: " if first.key and first.key not in first.message else ""
        raise CorruptError(f"{key}{first.message}{more}", first.rule, first.path)


def error_from(document: dict[str, Any] | None) -> Error | None:
    """The exception of an ERROR of a document; None for None."""
    if document is None:
        return None
    fields = {name: document[name] for name in ("code", "rule", "message", "path", "errno")}
    text = (f"{fields['path']}: " if fields["path"] else "") + (f"[{fields['rule']}] " if fields["rule"] else "")
    return error_of(**fields, text=text + fields["message"], kind="", status=None, request_id=None)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a text table."""
    table = [tuple(header), *map(tuple, rows)]
    hidden = len(table) - 1 - _MAX_ROWS
    table = table[: _MAX_ROWS + 1]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    return [*lines, f"... and {hidden:,} more"] if hidden > 0 else lines


def _html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The same as HTML. A cell that starts with "<" is HTML already."""
    rows = list(rows)
    shown = "".join(
        "<tr>" + "".join(f"<td>{cell if cell.startswith('<meter') else escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows[:_MAX_ROWS])
    more = f"<p>... and {len(rows) - _MAX_ROWS:,} more</p>" if len(rows) > _MAX_ROWS else ""
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{shown}</tbody></table>{more}"


def _finding_rows(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    return [(finding.severity, finding.rule, finding.key or finding.path or "-", finding.message)
            for finding in findings]


_FINDING_HEADER = ("severity", "rule", "what", "message")


class Report(Record, abstract=True):
    """What a verb found or did."""

    __slots__ = ()

    def _summary(self) -> str:
        raise NotImplementedError

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return _FINDING_HEADER, _finding_rows(self.findings)

    @property
    def findings(self) -> list[Finding]:
        """Errors first."""
        return _findings(self._fields["findings"])

    def raise_for_errors(self) -> None:
        """Raises CorruptError with the first error among the findings, if there is one."""
        raise_first_error(self.findings)

    def __str__(self) -> str:
        header, rows = self._table()
        return "\n".join([*(_columns(header, rows) if rows else ()), self._summary()])

    def __repr__(self) -> str:
        return f"<ferrule.{type(self).__name__} {self._summary()}>"

    def _repr_html_(self) -> str:
        header, rows = self._table()
        return (_html(header, rows) if rows else "") + f"<p>{escape(self._summary())}</p>"


class CheckReport(Report):
    """What check() found. True if the verdict is "ok" or "warn"."""

    __slots__ = ()

    @property
    def verdict(self) -> Literal["ok", "warn", "bad", "unknown"]:
        """"ok": all of it applies; "warn": so it does, with something to know; "bad": some of it does not apply, or
        not as it was meant; "unknown": only the base's config was given."""
        return self._fields["verdict"]

    @property
    def good(self) -> bool:
        """Whether the verdict is "ok" or "warn"."""
        return self.verdict in ("ok", "warn")

    @property
    def matched(self) -> int:
        """Modules that the base has under exactly that name, with all shapes right."""
        return self._fields["modules"]["matched"]

    @property
    def total(self) -> int:
        """Modules that have tensors in the file."""
        return self._fields["modules"]["total"]

    def raise_for_errors(self) -> None:
        """Raises CorruptError for "bad", UnsupportedError for "unknown"."""
        super().raise_for_errors()
        if self.verdict == "unknown":
            raise UnsupportedError("only the base's config was given: its modules were not checked")
        if not self.good:
            raise CorruptError(self._summary())

    def __bool__(self) -> bool:
        return self.good

    def _summary(self) -> str:
        return f"{self.verdict}, {self.matched:,} of {_count(self.total, 'module')} found in the base"


class CleanReport(Report):
    """What clean() did. True if nothing remains but what running saves use."""

    __slots__ = ()

    @property
    def folder(self) -> str:
        return self._fields["folder"]

    @property
    def removed(self) -> list[str]:
        return list(self._fields["removed"])

    @property
    def in_use(self) -> list[str]:
        """Of saves that are running."""
        return list(self._fields["in_use"])

    @property
    def kept(self) -> list[str]:
        """Another user's, or with files of a directory that does not exist any more: look at them."""
        return list(self._fields["kept"])

    @property
    def errors(self) -> list[Error]:
        """What could not be listed or removed, and why."""
        return [error for error in map(error_from, self._fields["errors"]) if error is not None]

    @property
    def findings(self) -> list[Finding]:
        """Always empty: see kept and errors."""
        return []

    def raise_for_errors(self) -> None:
        """Raises the first of errors, or CorruptError if something was kept."""
        for error in self.errors:
            raise error
        if self.kept:
            raise CorruptError("it is another user's, or holds files of a directory that does not exist any more",
                               path=self.kept[0])

    def __bool__(self) -> bool:
        return not self._fields["errors"] and not self._fields["kept"]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("path", ""), [
            *((path, "removed") for path in self.removed), *((path, "in use") for path in self.in_use),
            *((path, "kept") for path in self.kept), *((error.path, error.message) for error in self.errors)]

    def _summary(self) -> str:
        return f"{self.folder}: {len(self.removed):,} removed, {len(self.in_use):,} in use, {len(self.kept):,} kept"


class ExplainedModule(Record):
    """One adapted module and the factor on its update."""

    __slots__ = ()

    @property
    def module(self) -> str:
        """The path on disk, without ``base_model.model.``."""
        return self._fields["module"]

    @property
    def strength(self) -> float | None:
        """None if the method has none."""
        return self._fields["strength"]

    @property
    def rank(self) -> float | None:
        return self._fields["rank"]

    @property
    def alpha(self) -> float | None:
        return self._fields["alpha"]

    @property
    def rule(self) -> str:
        """Which pattern or default won."""
        return self._fields["rule"]


class PatternUse(Record):
    """An entry of rank_pattern or alpha_pattern, and how many modules follow it."""

    __slots__ = ()

    @property
    def field(self) -> str:
        return self._fields["field"]

    @property
    def pattern(self) -> str:
        return self._fields["pattern"]

    @property
    def value(self) -> float:
        return self._fields["value"]

    @property
    def modules(self) -> int:
        """0: no module matches it, or an earlier entry wins."""
        return self._fields["modules"]


class ExplainReport(Report):
    """The strength of every module, and where it comes from."""

    __slots__ = ()

    @property
    def path(self) -> str:
        return self._fields["path"]

    @property
    def peft_type(self) -> str:
        return self._fields["peft_type"]

    @property
    def modules(self) -> list[ExplainedModule]:
        """Sorted by path."""
        return [ExplainedModule(fields) for fields in self._fields["modules"]]

    @property
    def patterns(self) -> list[PatternUse]:
        """In the order of the file."""
        return [PatternUse(fields) for fields in self._fields["patterns"]]

    def __len__(self) -> int:
        return len(self._fields["modules"])

    def __iter__(self) -> Iterator[ExplainedModule]:
        return iter(self.modules)

    def __bool__(self) -> bool:
        return True

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("module", "strength", "rank", "alpha", "rule"), [
            (module.module, _number(module.strength), _number(module.rank), _number(module.alpha), module.rule)
            for module in self.modules]

    def _summary(self) -> str:
        counts: dict[float | None, int] = {}
        for fields in self._fields["modules"]:
            counts[fields["strength"]] = counts.get(fields["strength"], 0) + 1
        parts = [f"{count:,} at {'no strength' if strength is None else _number(strength)}"
                 for strength, count in counts.items()]
        return f"{_count(len(self), 'module')} of {self.peft_type}" + (f": {', '.join(parts)}" if parts else "")

    def _repr_html_(self) -> str:
        highest = max((abs(module.strength or 0) for module in self.modules), default=0) or 1
        header, rows = self._table()
        bars = [(*row, f'<meter min="0" max="{highest:g}" value="{abs(module.strength or 0):g}"></meter>')
                for row, module in zip(rows, self.modules)]
        return _html((*header, ""), bars) + f"<p>{escape(self._summary())}</p>"


class _Measure(Record, abstract=True):
    __slots__ = ()

    @property
    def verdict(self) -> Literal["same", "scaled", "different", "only_a", "only_b", "shape"]:
        return self._fields["verdict"]

    @property
    def factor(self) -> float | None:
        """B over A if same or scaled, otherwise None."""
        return self._fields["factor"]

    @property
    def relative_distance(self) -> float | None:
        """|a - b| / |a|; None if it does not exist."""
        return self._fields["relative_distance"]

    @property
    def cosine(self) -> float | None:
        return self._fields["cosine"]


class TensorDiff(_Measure):
    """One tensor as it is in the two files."""

    __slots__ = ()

    @property
    def tensor(self) -> str:
        return self._fields["tensor"]

    @property
    def largest_difference(self) -> float | None:
        return self._fields["largest_difference"]

    @property
    def dtypes(self) -> tuple[str | None, str | None]:
        return self._fields["dtype_a"], self._fields["dtype_b"]

    @property
    def shapes(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        a, b = self._fields["shape_a"], self._fields["shape_b"]
        return None if a is None else tuple(a), None if b is None else tuple(b)


class ModuleDiff(_Measure):
    """The updates of one module compared."""

    __slots__ = ()

    @property
    def module(self) -> str:
        """The path on disk, without ``base_model.model.``; empty for what belongs to the whole model."""
        return self._fields["module"]

    @property
    def tensors(self) -> list[TensorDiff]:
        """If they were asked for."""
        return [TensorDiff(fields) for fields in self._fields.get("tensors", ())]


class ConfigDiff(Record):
    """A field of the configs with another meaning."""

    __slots__ = ()

    @property
    def field(self) -> str:
        return self._fields["field"]

    @property
    def a(self) -> Any:
        return self._fields["a"]

    @property
    def b(self) -> Any:
        return self._fields["b"]


class DiffReport(Report, _Measure):
    """How two adapters differ in what they do to a base."""

    __slots__ = ()

    @property
    def same(self) -> bool:
        return self.verdict == "same"

    @property
    def modules(self) -> list[ModuleDiff]:
        """Sorted by path."""
        return [ModuleDiff(fields) for fields in self._fields["modules"]]

    @property
    def config(self) -> list[ConfigDiff]:
        """Fields that mean something else."""
        return [ConfigDiff(fields) for fields in self._fields["config"]]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("module", "verdict", "factor", "distance", "cosine"), [
            (module.module or "(the model)", module.verdict, _number(module.factor),
             _number(module.relative_distance), _number(module.cosine)) for module in self.modules]

    def _summary(self) -> str:
        text = self.verdict
        if self.verdict == "scaled":
            text += f": b is {_number(self.factor)} times a"
        if self.relative_distance is not None:
            text += f", relative distance {_number(self.relative_distance)}"
        return text


class ConvertedAdapter(Record):
    """One adapter of a converted directory."""

    __slots__ = ()

    @property
    def folder(self) -> str:
        """Its folder below the directory; empty for the directory itself."""
        return self._fields["folder"]

    @property
    def source(self) -> str:
        """The name of the weights file that was read."""
        return self._fields["from"]

    @property
    def target(self) -> str:
        """The name of the weights file that was written."""
        return self._fields["to"]

    @property
    def tensor_count(self) -> int:
        return self._fields["tensor_count"]

    @property
    def source_bytes(self) -> int:
        return self._fields["from_bytes"]

    @property
    def copied(self) -> list[str]:
        """Names of the other files that were copied."""
        return list(self._fields["copied"])


class _Written(Report, abstract=True):
    __slots__ = ()

    @property
    def directory(self) -> str:
        """Where it was written to."""
        return self._fields["directory"]

    @property
    def in_place(self) -> bool:
        return self._fields["in_place"]


class ConvertReport(_Written):
    """What convert() wrote."""

    __slots__ = ()

    @property
    def findings(self) -> list[Finding]:
        """Always empty: what is wrong is raised."""
        return []

    @property
    def adapters(self) -> list[ConvertedAdapter]:
        return [ConvertedAdapter(fields) for fields in self._fields["adapters"]]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("folder", "from", "to", "tensors", "bytes"), [
            (adapter.folder or ".", adapter.source, adapter.target, f"{adapter.tensor_count:,}",
             f"{adapter.source_bytes:,}") for adapter in self.adapters]

    def _summary(self) -> str:
        return f"{self.directory}: {_count(len(self.adapters), 'adapter')} converted"


class ExchangeReport(Report):
    """What convert() to another program's form did."""

    __slots__ = ()

    @property
    def findings(self) -> list[Finding]:
        """Always empty: what is wrong is raised."""
        return []

    @property
    def source(self) -> str:
        """The dialect that was read."""
        return self._fields["from"]

    @property
    def target(self) -> str:
        """The dialect that was written."""
        return self._fields["to"]

    @property
    def output(self) -> str:
        """Where it was written to."""
        return self._fields["output"]

    @property
    def sites(self) -> int:
        """How many modules the adapter changes."""
        return self._fields["sites"]

    @property
    def kept(self) -> list[str]:
        """Keys that are the same in the output."""
        return list(self._fields["kept"])

    @property
    def renamed(self) -> list[dict[str, str]]:
        """Keys that have another name ("from", "to"), one for each module."""
        return list(self._fields["renamed"])

    @property
    def folded(self) -> list[dict[str, Any]]:
        """Strengths that were multiplied into factors ("site", "factor", "exact")."""
        return list(self._fields["folded"])

    @property
    def rounded(self) -> list[dict[str, str]]:
        """Tensors that were rounded ("key", "dtype")."""
        return list(self._fields["rounded"])

    @property
    def dropped(self) -> list[str]:
        """Keys that were left out, as `drop` allowed."""
        return list(self._fields["dropped"])

    @property
    def notes(self) -> list[str]:
        return list(self._fields["notes"])

    @property
    def largest_error(self) -> float:
        """Of any module's update in the output, relative to the source's."""
        return self._fields["largest_error"]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("from", "to"), [(entry["from"], entry["to"]) for entry in self.renamed]

    def _summary(self) -> str:
        return (f"{self.output}: {self.source} to {self.target}, {_count(self.sites, 'module')}, largest error "
                f"{_number(self.largest_error)}")


class NormalizeReport(_Written):
    """What normalize() wrote."""

    __slots__ = ()

    @property
    def weights_file(self) -> str:
        return self._fields["weights_file"]

    @property
    def rank(self) -> int:
        """The config's r."""
        return self._fields["rank"]

    @property
    def modules(self) -> int:
        return self._fields["modules"]

    @property
    def padded(self) -> int:
        """Modules whose rank was padded with zeros."""
        return self._fields["padded"]

    @property
    def folded(self) -> int:
        """Modules whose strength was folded into a factor."""
        return self._fields["folded"]

    @property
    def exact(self) -> bool:
        """Whether no value was rounded."""
        return self._fields["exact"]

    @property
    def largest_relative_error(self) -> float | None:
        """Of an update, measured; None if it is not finite."""
        return self._fields["largest_relative_error"]

    @property
    def worst_module(self) -> str | None:
        return self._fields["worst_module"]

    @property
    def copied(self) -> list[str]:
        """Names of the other files that were copied."""
        return list(self._fields["copied"])

    def _summary(self) -> str:
        error = "nothing was rounded" if self.exact else f"largest relative error {_number(self.largest_relative_error)}"
        return (f"{self.directory}: {_count(self.modules, 'module')} of strength 1, r {self.rank:,} ({self.padded:,} "
                f"padded, {self.folded:,} folded), {error}")


class FixedProblem(Record):
    """One kind of problem that was fixed."""

    __slots__ = ()

    @property
    def what(self) -> str:
        """"training-wrapper", "adapter-name", "key-prefix" ... (docs/cli.md)."""
        return self._fields["what"]

    @property
    def message(self) -> str:
        return self._fields["message"]

    @property
    def tensors(self) -> int:
        return self._fields["tensors"]


class FixedAdapter(Record):
    """One adapter of a fixed directory."""

    __slots__ = ()

    @property
    def folder(self) -> str:
        """Its folder below the directory; empty for the directory itself."""
        return self._fields["folder"]

    @property
    def fixed(self) -> list[FixedProblem]:
        return [FixedProblem(fields) for fields in self._fields["mended"]]

    @property
    def remaining(self) -> list[Finding]:
        """What could only be fixed by guessing. Nothing is written if there is an error among them."""
        return _findings(self._fields["left"])


class FixReport(_Written):
    """What fix() did. True if no error remains: only then was anything written."""

    __slots__ = ()

    @property
    def good(self) -> bool:
        return self._fields["good"]

    @property
    def written(self) -> bool:
        return self._fields["written"]

    @property
    def adapters(self) -> list[FixedAdapter]:
        return [FixedAdapter(fields) for fields in self._fields["adapters"]]

    @property
    def findings(self) -> list[Finding]:
        """What remains, of all adapters."""
        return [finding for adapter in self.adapters for finding in adapter.remaining]

    def __bool__(self) -> bool:
        return self.good

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        fixed = [("fixed", problem.what, adapter.folder or ".", problem.message)
                 for adapter in self.adapters for problem in adapter.fixed]
        return _FINDING_HEADER, [*fixed, *super()._table()[1]]

    def _summary(self) -> str:
        fixed = sum(len(adapter.fixed) for adapter in self.adapters)
        text = f"{self.directory}: {_count(fixed, 'problem')} fixed, {len(self.findings):,} remaining"
        return text if self.written else text + "; nothing was written"


class SavedAdapter(Record):
    """One saved adapter."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._fields["name"]

    @property
    def directory(self) -> str:
        return self._fields["directory"]

    @property
    def peft_type(self) -> str:
        return self._fields["peft_type"]

    @property
    def tensor_count(self) -> int:
        return self._fields["tensor_count"]

    @property
    def parameters(self) -> int:
        return self._fields["parameters"]

    @property
    def file_bytes(self) -> int:
        """The size of the weights file."""
        return self._fields["file_bytes"]

    @property
    def files(self) -> list[str]:
        return list(self._fields["files"])


class LeftOut(Record):
    """A tensor that was not saved although a reader might expect it."""

    __slots__ = ()

    @property
    def key(self) -> str:
        return self._fields["key"]

    @property
    def why(self) -> str:
        return self._fields["why"]


class SaveReport(Report):
    """What save() wrote."""

    __slots__ = ()

    @property
    def adapters(self) -> list[SavedAdapter]:
        """In the order saved."""
        return [SavedAdapter(fields) for fields in self._fields["adapters"]]

    @property
    def left_out(self) -> list[LeftOut]:
        return [LeftOut(fields) for fields in self._fields["left_out"]]

    @property
    def state_bytes(self) -> int:
        """All tensors of the state dict."""
        return self._fields["state_bytes"]

    @property
    def saved_bytes(self) -> int:
        """The weights files together."""
        return self._fields["saved_bytes"]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("adapter", "type", "directory", "tensors", "parameters", "bytes"), [
            (adapter.name, adapter.peft_type, adapter.directory, f"{adapter.tensor_count:,}",
             f"{adapter.parameters:,}", f"{adapter.file_bytes:,}") for adapter in self.adapters]

    def _summary(self) -> str:
        return f"{_count(len(self.adapters), 'adapter')} saved, {self.saved_bytes:,} of {self.state_bytes:,} bytes"
