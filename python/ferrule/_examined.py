# SPDX-License-Identifier: Apache-2.0
"""Reports of inspect, verify and scan."""

from __future__ import annotations

import copy
from typing import Any, Iterator, Literal, Sequence

from ._errors import CorruptError, Error
from ._ferrule import Finding
from ._reports import Record, Report, _count, _findings, _number, error_from

__all__ = [
    "AdapterSummary",
    "ContainerSummary",
    "FolderSummary",
    "ScanHit",
    "ScannedFile",
    "ScanReport",
    "TensorSummary",
    "TensorTotals",
    "VerifiedPath",
    "VerifyReport",
    "summary_of",
]


class TensorTotals(Record):
    """Tensors by number."""

    __slots__ = ()

    @property
    def tensors(self) -> int:
        return self._fields["tensor_count"]

    @property
    def parameters(self) -> int:
        return self._fields["parameters"]

    @property
    def bytes(self) -> int:
        return self._fields["tensor_bytes"]

    @property
    def dtypes(self) -> dict[str, int]:
        """Tensors of each dtype."""
        return dict(self._fields["dtypes"])

    def _summary(self) -> str:
        dtypes = ", ".join(self._fields["dtypes"])
        return f"{_count(self.tensors, 'tensor')}, {_count(self.parameters, 'parameter')}" + (dtypes and f", {dtypes}")


class TensorSummary(Record):
    """One tensor by name, without its content."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._fields["name"]

    @property
    def dtype(self) -> str:
        return self._fields["dtype"]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._fields["shape"])

    @property
    def nbytes(self) -> int:
        return self._fields["bytes"]


class _Summary(Report, abstract=True):
    __slots__ = ()

    @property
    def totals(self) -> TensorTotals:
        return TensorTotals({name: self._fields[name]
                             for name in ("tensor_count", "parameters", "tensor_bytes", "dtypes")})

    @property
    def file_bytes(self) -> int:
        """Of the weights, in bytes."""
        return self._fields["file_bytes"]

    @property
    def tensors(self) -> list[TensorSummary]:
        """In the order of the file."""
        return [TensorSummary(fields) for fields in self._fields.get("tensors", ())]

    def to_dict(self, *, tensors: bool = False) -> dict[str, Any]:
        """The document of ``ferrule inspect --json``; with `tensors` that of ``--tensors``. A copy."""
        return copy.deepcopy({name: value for name, value in self._fields.items() if tensors or name != "tensors"})


class AdapterSummary(_Summary):
    """One adapter in few words, and whether it is good. Only headers and configs were read for it. True if it is
    good."""

    __slots__ = ()

    @property
    def directory(self) -> str:
        return self._fields["path"]

    @property
    def good(self) -> bool:
        return self._fields["good"]

    @property
    def peft_type(self) -> str:
        """Empty if the config could not be read."""
        return self._fields["peft_type"] or ""

    @property
    def task_type(self) -> str | None:
        return self._fields["task_type"]

    @property
    def base_model(self) -> str | None:
        return self._fields["base_model_name_or_path"]

    @property
    def rank(self) -> int | None:
        return self._fields["rank"]

    @property
    def alpha(self) -> float | None:
        return self._fields["alpha"]

    @property
    def weights_file(self) -> str:
        return self._fields["weights_file"] or ""

    @property
    def modules(self) -> list[dict[str, Any]]:
        """Path, rank, alpha, strength, rule and roles of each module, sorted by path; empty in a folder's list."""
        return copy.deepcopy(self._fields.get("modules", []))

    @property
    def system_error(self) -> Error | None:
        """The system error that prevented a verdict; not raised."""
        return error_from(self._fields.get("error"))

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
        return f"{self.directory}: {kind}{rank}{self.totals._summary()}, {'good' if self.good else 'bad'}"


class FolderSummary(_Summary):
    """The adapters of a folder and of all folders below it. True if all of them are good."""

    __slots__ = ()

    @property
    def directory(self) -> str:
        return self._fields["path"]

    @property
    def good(self) -> bool:
        return self._fields["good"]

    @property
    def adapters(self) -> list[AdapterSummary]:
        """Sorted by path."""
        return [AdapterSummary(fields) for fields in self._fields["adapters"]]

    @property
    def directories(self) -> int:
        """Folders looked into."""
        return self._fields["directories"]

    @property
    def unreadable(self) -> list[Error]:
        """Folders that could not be listed, and why."""
        return [error for error in map(error_from, self._fields["unreadable"]) if error is not None]

    @property
    def bad(self) -> int:
        """Adapters that are not good."""
        return self._fields["bad_count"]

    @property
    def findings(self) -> list[Finding]:
        """Of all adapters."""
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

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("adapter", "type", "rank", "alpha", "tensors", "bytes", ""), [
            (one.directory, one.peft_type or "-", _number(one.rank), _number(one.alpha), f"{one.totals.tensors:,}",
             f"{one.file_bytes:,}", "good" if one.good else "BAD") for one in self.adapters]

    def _summary(self) -> str:
        unread = f", {_count(len(self._fields['unreadable']), 'folder')} could not be read" if self.unreadable else ""
        return f"{self.directory}: {_count(len(self), 'adapter')}, {self.bad:,} bad{unread}"


class ContainerSummary(_Summary):
    """A file, or a checkpoint of several: what its headers say."""

    __slots__ = ()

    @property
    def files(self) -> list[str]:
        return list(self._fields["files"])

    @property
    def container(self) -> str:
        """"safetensors", "safetensors index", "torch" ..."""
        return self._fields["container"]

    @property
    def metadata(self) -> dict[str, str]:
        """Of a single safetensors file."""
        return dict(self._fields["metadata"])

    @property
    def findings(self) -> list[Finding]:
        """Always empty: what is wrong is raised."""
        return []

    def __bool__(self) -> bool:
        return True

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("tensor", "dtype", "shape", "bytes"), [
            (one.name, one.dtype, str(list(one.shape)), f"{one.nbytes:,}") for one in self.tensors]

    def _summary(self) -> str:
        return f"{self._fields['path']}: {self.container}, {self.totals._summary()}"


def summary_of(document: dict[str, Any]) -> AdapterSummary | FolderSummary | ContainerSummary:
    """The report of that kind."""
    kinds: dict[str, type[AdapterSummary | FolderSummary | ContainerSummary]] = {
        "adapter": AdapterSummary, "folder": FolderSummary, "file": ContainerSummary}
    return kinds[document["kind"]](document)


class VerifiedPath(Record):
    """One path that was verified."""

    __slots__ = ()

    @property
    def path(self) -> str:
        return self._fields["path"]

    @property
    def good(self) -> bool:
        return self._fields["good"]

    @property
    def verified(self) -> int:
        """Adapters that were opened or tried; 1 for a file."""
        return self._fields["verified"]

    @property
    def bad(self) -> int:
        return self._fields["bad"]

    @property
    def findings(self) -> list[Finding]:
        """Errors first."""
        return _findings(self._fields["findings"])

    @property
    def unreadable(self) -> list[Error]:
        """What could not be opened, and why."""
        return [error for error in map(error_from, self._fields["unreadable"]) if error is not None]

    @property
    def system_error(self) -> Error | None:
        """The first of them."""
        return error_from(self._fields["error"])


class VerifyReport(Report):
    """What verify() found. True if it is good."""

    __slots__ = ()

    @property
    def good(self) -> bool:
        """Whether everything could be read and there is no error among the findings."""
        return self._fields["good"]

    @property
    def verified(self) -> int:
        """Adapters and files that were opened or tried."""
        return self._fields["verified"]

    @property
    def bad(self) -> int:
        """Those of them that are not good."""
        return self._fields["bad"]

    @property
    def paths(self) -> list[VerifiedPath]:
        """In the order given."""
        return [VerifiedPath(fields) for fields in self._fields["paths"]]

    @property
    def findings(self) -> list[Finding]:
        """Of all paths; if there are only notes and warnings, they are good."""
        return [finding for path in self.paths for finding in path.findings]

    @property
    def unreadable(self) -> list[Error]:
        """What could not be opened, and why."""
        return [error for path in self.paths for error in path.unreadable]

    @property
    def system_error(self) -> Error | None:
        """The first system error that prevented a verdict, as opposed to bad data; not raised."""
        return next((path.system_error for path in self.paths if path.system_error is not None), None)

    def raise_for_errors(self) -> None:
        """Raises what could not be read, or CorruptError with the first error among the findings."""
        if self.system_error is not None:
            raise self.system_error
        super().raise_for_errors()

    def __bool__(self) -> bool:
        return self.good

    def __str__(self) -> str:
        return "\n".join([*map(str, self.unreadable), super().__str__()])

    def _summary(self) -> str:
        name = self._fields["paths"][0]["path"] if len(self._fields["paths"]) == 1 else _count(
            len(self._fields["paths"]), "path")
        if self.verified <= 1:
            return f"{name}: {'good' if self.good else 'bad'}"
        return f"{name}: {self.verified - self.bad:,} good, {self.bad:,} bad of {self.verified:,}"


class ScanHit(Record):
    """What unpickling would import or call."""

    __slots__ = ()

    @property
    def severity(self) -> Literal["dangerous", "unknown", "training_state"]:
        return self._fields["severity"]

    @property
    def entry(self) -> str:
        """The entry of an archive that holds the pickle; empty for a bare one."""
        return self._fields["entry"]

    @property
    def offset(self) -> int:
        return self._fields["offset"]

    @property
    def opcode(self) -> str:
        return self._fields["opcode"]

    @property
    def name(self) -> str | None:
        """The global, "os.system"; None if it is computed."""
        return self._fields["global"]

    @property
    def why(self) -> str:
        return self._fields["why"]


class ScannedFile(Record):
    """One file that was scanned."""

    __slots__ = ()

    @property
    def path(self) -> str:
        return self._fields["path"]

    @property
    def severity(self) -> Literal["dangerous", "unknown", "training_state"] | None:
        """The worst of what was found; None if nothing was."""
        return self._fields["severity"]

    @property
    def examined(self) -> bool:
        """False if it is of a kind that is not looked into: nothing is said about it."""
        return self._fields["examined"]

    @property
    def pickles(self) -> int:
        """Those that were read to their end."""
        return self._fields["pickles"]

    @property
    def would_run(self) -> list[ScanHit]:
        return [ScanHit(fields) for fields in self._fields["would_run"]]

    @property
    def not_read(self) -> list[dict[str, str]]:
        """Parts that could not be read to their end: entry, rule, message."""
        return copy.deepcopy(self._fields["not_read"])

    @property
    def system_error(self) -> Error | None:
        """Why it could not be opened."""
        return error_from(self._fields["error"])


class ScanReport(Report):
    """What scan() found. True if nothing fails it."""

    __slots__ = ()

    @property
    def good(self) -> bool:
        return self._fields["good"]

    @property
    def verdict(self) -> Literal["clean", "training_state", "unknown", "dangerous", "error"]:
        """The worst of all files; "error" if one could not be opened."""
        return self._fields["verdict"]

    @property
    def counts(self) -> dict[str, int]:
        """files, pickles, not_examined, dangerous, unknown, training_state, errors."""
        return dict(self._fields["counts"])

    @property
    def files(self) -> list[ScannedFile]:
        """Sorted by path, for each path given."""
        return [ScannedFile(fields) for fields in self._fields["files"]]

    @property
    def out_of_scope(self) -> list[str]:
        """What a scan does not look at."""
        return list(self._fields["out_of_scope"])

    @property
    def findings(self) -> list[Finding]:
        """Always empty: see files."""
        return []

    def raise_for_errors(self) -> None:
        """Raises why a file could not be opened, or CorruptError if something fails the scan."""
        for file in self.files:
            if file.system_error is not None:
                raise file.system_error
        if self.good:
            return
        for file in self.files:
            if file.severity == self.verdict:
                hit = next((hit for hit in file.would_run if hit.severity == self.verdict), None)
                raise CorruptError(f"{self.verdict}: {hit.why if hit else 'it was not read to its end'}", "PK-3",
                                   file.path)

    def __bool__(self) -> bool:
        return self.good

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        rows = [(hit.severity, hit.name or hit.opcode, file.path + (f"!{hit.entry}" if hit.entry else ""), hit.why)
                for file in self.files for hit in file.would_run]
        rows += [("unknown", "-", file.path, f"not read to its end: {gap['message']}")
                 for file in self.files for gap in file._fields["not_read"]]
        rows += [("error", "-", file.path, error["message"])
                 for file in self.files if (error := file._fields["error"]) is not None]
        return ("severity", "global", "file", "why"), rows

    def _summary(self) -> str:
        counts = self._fields["counts"]
        found = ", ".join(_count(counts[name], "file") + f" {text}" for name, text in (
            ("dangerous", "dangerous"), ("unknown", "unknown"), ("training_state", "with training state"))
            if counts[name])
        unread = f"{_count(counts['errors'], 'file')} could not be opened" if counts["errors"] else ""
        said = ", ".join(filter(None, (found, unread)))
        return (f"{_count(counts['files'], 'file')}, {_count(counts['pickles'], 'pickle')}: "
                f"{said or 'nothing found that would run'}")
