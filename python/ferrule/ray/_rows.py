# SPDX-License-Identifier: Apache-2.0
"""What runs in Ray's workers: a batch of paths becomes a batch of results. Imports no Ray, except for a node's name."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Callable

import pyarrow

import ferrule
from ferrule import _ferrule

from . import _bases

_FINDING = pyarrow.struct([(name, pyarrow.string())
                           for name in ("severity", "rule", "path", "key", "message", "advice")])
_OWN: dict[str, list[tuple[str, Any]]] = {
    "verify": [("verified", pyarrow.int64()), ("bad", pyarrow.int64())],
    "check": [("verdict", pyarrow.string()), ("matched", pyarrow.int64()), ("total", pyarrow.int64())],
    "scan": [("verdict", pyarrow.string()), ("dangerous", pyarrow.int64()), ("unknown", pyarrow.int64())],
    "content_id": [("id", pyarrow.string())],
    "convert": [("output", pyarrow.string())],
}
_COMMON: list[tuple[str, Any]] = [
    ("status", pyarrow.string()), ("exit", pyarrow.int64()), ("rule", pyarrow.string()), ("message", pyarrow.string()),
    ("findings", pyarrow.list_(_FINDING)), ("report", pyarrow.string())]

_GOOD, _BAD, _USAGE, _SYSTEM = 0, 1, 2, 3
_THREADS_FOR_ADDRESSES = 8

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One call of a verb, as it is sent to the workers."""

    verb: str
    options: dict[str, Any]
    column: str
    threads: int | None
    token: str


def _failed(error: BaseException) -> Row:
    """A row for what was raised. The exit code is the command's."""
    if isinstance(error, ferrule.Error):
        code = _BAD
        if isinstance(error, ferrule.InvalidArgumentError):
            code = _USAGE
        elif isinstance(error, ferrule.IoError) or (isinstance(error, ferrule.NotFoundError) and error.errno):
            code = _SYSTEM
        document = {"code": error.code, "rule": error.rule, "message": error.message, "path": error.path}
        return {"exit": code, "rule": error.rule or None, "message": str(error), "report": json.dumps({"error": document})}
    text = f"{type(error).__name__}: {error}"
    return {"exit": _SYSTEM, "message": text, "report": json.dumps({"error": {"code": "internal", "message": text}})}


def _judged(code: int, document: dict[str, Any], **own: Any) -> Row:
    """A row for a report. Its first error is shown even if something else decided the code."""
    findings = document.get("findings") or []
    row: Row = {"exit": code, "findings": findings, "report": json.dumps(document), **own}
    error = document.get("error")
    if isinstance(error, dict):
        row.update(rule=error.get("rule") or None, message=error.get("message"))
    else:
        first = next((finding for finding in findings if finding["severity"] == "error"), None)
        if first is not None:
            row.update(rule=first["rule"], message=first["message"])
    return row


def _verify(path: str, row: Row, job: Job) -> Row:
    report = ferrule.verify(path, **job.options)
    document = report._fields["paths"][0]  # to_dict() would copy it.
    code = _GOOD if report.good else _SYSTEM if report.system_error is not None else _BAD
    made = _judged(code, document, verified=report.verified, bad=report.bad)
    if code != _GOOD and not made.get("message") and report.unreadable:
        made.update(rule=report.unreadable[0].rule or None, message=str(report.unreadable[0]))
    return made


def _check(path: str, row: Row, job: Job) -> Row:
    options = dict(job.options)
    base, offline = options.pop("base"), options.pop("offline")
    adapter = ferrule.Adapter.open(path, allow_errors=True)
    model = _bases.of_node(base, offline, job.token) if base else _bases.of_config(adapter.config, offline, job.token)
    report = ferrule.check(adapter, model, **options)
    made = _judged(_GOOD if report.good else _BAD, report._fields, verdict=report.verdict, matched=report.matched,
                   total=report.total)
    if not report.good and not made.get("message"):
        made["message"] = report._summary()
    return made


def _scan(path: str, row: Row, job: Job) -> Row:
    report = ferrule.scan(path, **job.options)
    counts = report.counts
    code = _SYSTEM if counts["errors"] else _GOOD if report.good else _BAD
    made = _judged(code, report._fields, verdict=report.verdict, dangerous=counts["dangerous"],
                   unknown=counts["unknown"])
    if code != _GOOD:
        try:
            report.raise_for_errors()
        except ferrule.Error as error:
            made.update(rule=error.rule or None, message=str(error))
    return made


def _content_id(path: str, row: Row, job: Job) -> Row:
    found = ferrule.content_id(path)
    return {"exit": _GOOD, "id": found, "report": json.dumps({"id": found})}


def _convert(path: str, row: Row, job: Job) -> Row:
    options = dict(job.options)
    root = options.pop("root")
    below = row.get("output") or path.split("://")[-1]
    parts = [part for part in below.split("/") if part not in ("", ".", "..")]
    output = os.path.join(root, *parts)
    os.makedirs(os.path.dirname(output), exist_ok=True)
    report = ferrule.convert(path, output, **options)
    return _judged(_GOOD, report._fields, output=output)


_VERBS: dict[str, Callable[[str, Row, Job], Row]] = {
    "verify": _verify, "check": _check, "scan": _scan, "content_id": _content_id, "convert": _convert}


def _one(row: Row, job: Job) -> Row:
    path = row.get(job.column)
    try:
        if not isinstance(path, str):
            raise ferrule.InvalidArgumentError(f"the column \"{job.column}\" holds {type(path).__name__}, not a path")
        made = _VERBS[job.verb](path, row, job)
    except Exception as error:  # An item's failure is its row's; Ray sees only what ends the process.
        made = _failed(error)
    made["status"] = "good" if made["exit"] == _GOOD else "bad" if made["exit"] == _BAD else "error"
    return made


def _good_rows(paths: list[Any], job: Job, threads: int) -> list[tuple[Any, ...] | None]:
    """Local items that are good, all in one call: findings, report, and the verb's own columns. None for the others."""
    local = [path for path in paths if isinstance(path, str) and "://" not in path]
    options, found = job.options, None
    if job.verb == "verify":
        found = _ferrule.verify_rows(local, options["values"], options["torch_key"], threads)
    elif job.verb == "content_id":
        found = _ferrule.content_id_rows(local, threads)
    elif job.verb == "check" and options["base"]:
        try:
            base = _bases.of_node(options["base"], options["offline"], job.token)
        except Exception:  # Each row says it.
            return [None] * len(paths)
        found = _ferrule.check_rows(local, base, options["engines"], options["values"], options["allow_partial"], threads)
    if found is None or len(local) == len(paths):
        return found or [None] * len(paths)
    rows = iter(found)
    return [next(rows) if isinstance(path, str) and "://" not in path else None for path in paths]


def _others(rows: list[Row], job: Job) -> list[Row]:
    """One by one."""
    remote = any("://" in (row[job.column] or "") for row in rows)
    threads = job.threads or (_THREADS_FOR_ADDRESSES if remote else 1)
    if threads > 1 and len(rows) > 1:
        with ThreadPoolExecutor(min(threads, len(rows))) as pool:
            return list(pool.map(lambda row: _one(row, job), rows))
    return [_one(row, job) for row in rows]


def run(table: pyarrow.Table, job: Job) -> pyarrow.Table:
    """The batch with the verb's columns; those of the same names that it had are replaced."""
    if table.num_rows and job.column not in table.column_names:
        raise KeyError(f"the dataset has no column \"{job.column}\": name it with column=")
    rows: list[Row] = table.select([name for name in table.column_names if name in (job.column, "output")]).to_pylist()
    columns = [*_COMMON[:-2], *_OWN[job.verb], *_COMMON[-2:]]
    values: dict[str, list[Any]] = {name: [None] * len(rows) for name, _ in columns}
    own = ["findings", "report", *(name for name, _ in _OWN[job.verb])]
    good = _good_rows([row[job.column] for row in rows], job, job.threads or 1)
    others = [at for at, row in enumerate(good) if row is None]
    for at, row in enumerate(good):
        if row is not None:
            values["status"][at], values["exit"][at] = "good", _GOOD
            for name, value in zip(own, row):
                values[name][at] = value
    for at, made in zip(others, _others([rows[at] for at in others], job)):
        for name, value in made.items():
            values[name][at] = value
    table = table.drop_columns([name for name, _ in columns if name in table.column_names])
    for name, kind in columns:
        table = table.append_column(name, pyarrow.array(values[name], kind))
    return table
