# SPDX-License-Identifier: Apache-2.0
"""What all reports are: read-only views of the documents that the commands print with --json."""

from __future__ import annotations

import copy
from html import escape
from typing import TYPE_CHECKING, Any, Callable, Generic, Iterable, TypeVar, overload

from .._errors import CorruptError, Error, error_of
from .._ferrule import Finding
from ._text import Table, columns, html_table

__all__ = ["Field", "Record", "Report", "errors_of", "error_from", "findings_of", "raise_first_error", "records"]

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound="Record")

if TYPE_CHECKING:

    class Field(Generic[Value]):
        """A field of a record. Its value is the document's of the same name, or of `key` ("modules.total"), or
        `default` if the document does not have it; `made` turns it into what is returned."""

        def __init__(self, doc: str = "", key: str = "", made: Callable[[Any], Value] | None = None,
                     default: Any = ...) -> None: ...

        @overload
        def __get__(self, record: None, owner: type) -> Field[Value]: ...

        @overload
        def __get__(self, record: Record, owner: type) -> Value: ...

        def __get__(self, record: Record | None, owner: type) -> Field[Value] | Value: ...

else:

    class Field(property):
        def __class_getitem__(cls, kind):
            return cls

        def __init__(self, doc="", key="", made=None, default=...):
            super().__init__(self._read, doc=doc)
            self._keys, self._made, self._default = key.split("."), made, default

        def __set_name__(self, owner, name):
            if self._keys == [""]:
                self._keys = [name]

        def _read(self, record):
            value = record._fields
            for key in self._keys:
                value = value[key] if self._default is ... else value.get(key, self._default)
            if self._made is not None:
                return self._made(value)
            return copy.deepcopy(value) if isinstance(value, (list, dict)) else value


def records(kind: type[Kind]) -> Callable[[Any], list[Kind]]:
    """Makes the records of a list of documents."""
    return lambda documents: [kind(document) for document in documents]


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
        return isinstance(other, Record) and type(other) is type(self) and self._fields == other._fields

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


def findings_of(documents: Iterable[dict[str, str]]) -> list[Finding]:
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


def errors_of(documents: Iterable[dict[str, Any]]) -> list[Error]:
    return [error for error in map(error_from, documents) if error is not None]


FINDING_HEADER = ("severity", "rule", "what", "message")


class Report(Record, abstract=True):
    """What a verb found or did."""

    __slots__ = ()

    @property
    def findings(self) -> list[Finding]:
        """What was found, errors first; empty if the verb raises what is wrong."""
        return self._found()

    def _found(self) -> list[Finding]:
        return findings_of(self._fields.get("findings", ()))

    def raise_for_errors(self) -> None:
        """Raises CorruptError with the first error among the findings, if there is one."""
        raise_first_error(self.findings)

    def _summary(self) -> str:
        raise NotImplementedError

    def _table(self) -> Table:
        return FINDING_HEADER, [(finding.severity, finding.rule, finding.key or finding.path or "-", finding.message)
                                for finding in self.findings]

    def __str__(self) -> str:
        header, rows = self._table()
        return "\n".join([*(columns(header, rows) if rows else ()), self._summary()])

    def __repr__(self) -> str:
        return f"<ferrule.{type(self).__name__} {self._summary()}>"

    def _repr_html_(self) -> str:
        header, rows = self._table()
        return (html_table(header, rows) if rows else "") + f"<p>{escape(self._summary())}</p>"
