# SPDX-License-Identifier: Apache-2.0
"""Many adapters on a cluster: Ferrule's verbs as steps of Ray Data.

    import ray, ferrule.ray

    results = ferrule.ray.check(paths, "s3://models/llama", engines=["vllm"])
    results.write_parquet("s3://results/check")

Each takes paths (local ones that every node sees, ``s3://``, ``hf://``), or a Dataset with a column of them, and
returns a Dataset that is not computed yet: one row for each path, with the input's other columns. What is wrong
with an adapter, and what could not be read, are rows; Ray runs again what a lost worker or node was doing. Columns:

    path      as given; a relative path that exists is made absolute
    status    "good", "bad", or "error" (the system or a server refused: trying again may help)
    exit      what the command would exit with: 0, 1, 2 or 3
    rule, message    of the first error, else null
    findings  a list of severity, rule, path, key, message, advice
    report    JSON, as the command prints with --json for one path

and those of the verb. Keywords besides a verb's own: `column`, `batch_size`, `threads` (items of a batch at a time;
None: 1, or 8 for addresses), and those of ``Dataset.map_batches`` (``num_cpus``, ``concurrency``, ``max_retries`` ...).
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Iterable, Literal, Union

import pyarrow
import ray
import ray.data

from ._rows import Job, run

if TYPE_CHECKING:
    StrPath = Union[str, "os.PathLike[str]"]
    Paths = Union[StrPath, Iterable[StrPath], ray.data.Dataset]

__all__ = ["check", "content_id", "convert", "scan", "verify"]

#: Small enough that every core of a cluster gets several batches, large enough that Ray's cost for one does not count:
#: where only headers are read, an item takes a tenth of a millisecond, a batch tens of them to start.
_SMALLEST, _LARGEST = 16, 4096
_LARGEST_OF_WHOLE_FILES = 512
_BATCHES_PER_CORE = 4
_OF_DATASET = 1024


def _absolute(path: StrPath) -> str:
    """Workers run in another folder. A str that does not exist may be a repository of the Hub."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"paths: expected str or os.PathLike, found {type(path).__name__}")
    text = os.fspath(path)
    if os.path.isabs(text) or "://" in text:
        return text
    return os.path.abspath(text) if os.path.exists(text) else text


def _base(base: StrPath | None) -> str | None:
    if base is None:
        return None
    if not isinstance(base, (str, os.PathLike)):
        raise TypeError(f"base: expected a path, an address or None, found {type(base).__name__}; every node opens it")
    return _absolute(base)


def _words(values: Iterable[str], argument: str) -> list[str]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{argument}: expected a list of str, found {type(values).__name__}")
    return list(values)


def _batch_size(texts: list[str], whole_files: bool) -> int:
    cores = int(ray.cluster_resources().get("CPU", 1)) or 1
    slow = whole_files or any("://" in text for text in texts)
    largest = _LARGEST_OF_WHOLE_FILES if slow else _LARGEST
    return max(_SMALLEST, min(largest, -(-len(texts) // (cores * _BATCHES_PER_CORE))))


def _dataset(paths: Paths, column: str, batch_size: int | None, whole_files: bool) -> tuple[ray.data.Dataset, int]:
    if isinstance(paths, ray.data.Dataset):
        return paths, batch_size or (_LARGEST_OF_WHOLE_FILES // 2 if whole_files else _OF_DATASET)
    listed = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    texts = [_absolute(path) for path in listed]
    size = batch_size or _batch_size(texts, whole_files)
    tables = [pyarrow.table({column: pyarrow.array(texts[start : start + size], pyarrow.string())})
              for start in range(0, max(len(texts), 1), size)]
    return ray.data.from_arrow(tables), size


def _start(verb: str, paths: Paths, options: dict[str, Any], column: str, batch_size: int | None, threads: int | None,
           ray_options: dict[str, Any]) -> ray.data.Dataset:
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, not {batch_size}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    whole_files = verb in ("content_id", "convert", "scan") or bool(options.get("values"))
    dataset, size = _dataset(paths, column, batch_size, whole_files)
    # The token: each call reads its bases again, as each run of the command does.
    job = Job(verb, options, column, threads, uuid.uuid4().hex[:16])
    return dataset.map_batches(run, fn_kwargs={"job": job}, batch_size=size, batch_format="pyarrow", **ray_options)


def verify(paths_or_dataset: Paths, *, values: bool = False, torch_key: str = "", column: str = "path",
           batch_size: int | None = None, threads: int | None = None, **ray_options: Any) -> ray.data.Dataset:
    """``ferrule.verify`` of each. Further columns: verified, bad (adapters below that path)."""
    options = {"values": values, "torch_key": torch_key}
    return _start("verify", paths_or_dataset, options, column, batch_size, threads, ray_options)


def check(paths_or_dataset: Paths, base: StrPath | None = None, *, engines: Iterable[str] = (), values: bool = False,
          allow_partial: bool = False, offline: bool = False, column: str = "path", batch_size: int | None = None,
          threads: int | None = None, **ray_options: Any) -> ray.data.Dataset:
    """``ferrule.check`` of each against `base`, or against the base that its config names. A base's headers are read
    once on each node. Further columns: verdict, matched, total (modules)."""
    options = {"base": _base(base), "engines": _words(engines, "engines"), "values": values,
               "allow_partial": allow_partial, "offline": offline}
    return _start("check", paths_or_dataset, options, column, batch_size, threads, ray_options)


def scan(paths_or_dataset: Paths, *, allow: Iterable[str] = (),
         fail_on: Literal["dangerous", "unknown", "any"] = "unknown", column: str = "path",
         batch_size: int | None = None, threads: int | None = None, **ray_options: Any) -> ray.data.Dataset:
    """``ferrule.scan`` of each. Further columns: verdict, and the numbers of files that are dangerous and unknown."""
    if fail_on not in ("dangerous", "unknown", "any"):
        raise ValueError(f"fail_on must be \"dangerous\", \"unknown\" or \"any\", not {fail_on!r}")
    options = {"allow": _words(allow, "allow"), "fail_on": fail_on}
    return _start("scan", paths_or_dataset, options, column, batch_size, threads, ray_options)


def content_id(paths_or_dataset: Paths, *, column: str = "path", batch_size: int | None = None,
               threads: int | None = None, **ray_options: Any) -> ray.data.Dataset:
    """``ferrule.content_id`` of each. Further column: id, null if there is none."""
    return _start("content_id", paths_or_dataset, {}, column, batch_size, threads, ray_options)


def _places(paths: list[str], output: str) -> list[str]:
    """Last names if no two are equal, else whole paths: as `ferrule convert --files-from` places its items."""
    whole = [[part for part in path.split("://")[-1].split("/") if part not in ("", ".", "..")] for path in paths]
    last = [parts[-1] if parts else "" for parts in whole]
    unique = len(set(last)) == len(set(paths))
    return [os.path.join(output, *([name] if unique else parts)) for name, parts in zip(last, whole)]


def convert(paths_or_dataset: Paths, output: StrPath, *, to: str = "safetensors", source: str = "",
            base: StrPath | None = None, config: StrPath | None = None, dtype: str = "", arch: str = "",
            drop: Iterable[str] = (), torch_key: str = "", durability: Literal["fast", "safe", "full"] = "safe",
            column: str = "path", batch_size: int | None = None, threads: int | None = None,
            **ray_options: Any) -> ray.data.Dataset:
    """``ferrule.convert`` of each, to a place of its own below `output`, a folder that every node sees: under its last
    name if no two are equal, else under its whole path. A Dataset says the places itself, in a column "output" of
    paths below `output`; without it they are the whole paths. An item that is converted twice, because Ray ran it
    again, gives the same files. Further column: output, null if nothing was written."""
    root = os.path.abspath(os.fspath(output))
    if isinstance(paths_or_dataset, ray.data.Dataset):
        dataset: Paths = paths_or_dataset
    else:
        one = isinstance(paths_or_dataset, (str, os.PathLike))
        texts = [_absolute(path) for path in ([paths_or_dataset] if one else paths_or_dataset)]  # type: ignore[union-attr]
        size = batch_size or _batch_size(texts, True)
        places = _places(texts, "")
        dataset = ray.data.from_arrow([
            pyarrow.table({column: pyarrow.array(texts[at : at + size], pyarrow.string()),
                           "output": pyarrow.array(places[at : at + size], pyarrow.string())})
            for at in range(0, max(len(texts), 1), size)])
        batch_size = size
    options = {"root": root, "to": to, "source": source, "base": _base(base),
               "config": None if config is None else _absolute(config), "dtype": dtype, "arch": arch,
               "drop": _words(drop, "drop"), "torch_key": torch_key, "durability": durability}
    return _start("convert", dataset, options, column, batch_size, threads, ray_options)
