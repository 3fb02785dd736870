# SPDX-License-Identifier: Apache-2.0
"""Adapters into the weights of a base and off again: merge, unmerge; and their report."""

from __future__ import annotations

from typing import Iterable, Literal, Sequence

from . import _ferrule
from ._progress import ProgressBar, bar
from ._reports import Record, Report, _count
from ._strict import strict
from ._verbs import Durability, StrPath, _flag, _paths, _wait

__all__ = ["MergedFile", "MergeReport", "merge", "unmerge"]


class MergedFile(Record):
    """A file of weights of the model that was written."""

    __slots__ = ()

    @property
    def file(self) -> str:
        return self._fields["file"]

    @property
    def bytes(self) -> int:
        return self._fields["bytes"]

    @property
    def changed(self) -> list[str]:
        """Tensors whose values an adapter changed."""
        return list(self._fields["changed"])

    @property
    def added(self) -> list[str]:
        """Tensors that the base does not have."""
        return list(self._fields["added"])

    @property
    def linked(self) -> bool:
        """It is the base's own file under a second name."""
        return self._fields["linked"]

    @property
    def resumed(self) -> bool:
        """A merge before this one had completed it."""
        return self._fields["resumed"]


class MergeReport(Report):
    """What merge() or unmerge() wrote."""

    __slots__ = ()

    @property
    def output(self) -> str:
        return self._fields["output"]

    @property
    def in_place(self) -> bool:
        return self._fields["in_place"]

    @property
    def modules(self) -> int:
        """Modules of all adapters."""
        return self._fields["modules"]

    @property
    def changed_tensors(self) -> int:
        return self._fields["changed_tensors"]

    @property
    def untied(self) -> bool:
        """The head is no longer tied to the embedding."""
        return self._fields["untied"]

    @property
    def bytes_written(self) -> int:
        return self._fields["bytes_written"]

    @property
    def files(self) -> list[MergedFile]:
        return [MergedFile(fields) for fields in self._fields["files"]]

    @property
    def copied(self) -> list[str]:
        """Other files and folders that came along."""
        return list(self._fields["copied"])

    @property
    def left_out(self) -> list[str]:
        """Files with the base's weights in another format, which were left behind."""
        return list(self._fields["left_out"])

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("file", "bytes", "changed", "linked"), [
            (row.file, f"{row.bytes:,}", f"{len(row.changed):,}", "yes" if row.linked else "no") for row in self.files]

    def _summary(self) -> str:
        return (f"{self.output}: {_count(self.modules, 'module')}, {_count(self.changed_tensors, 'tensor')} changed, "
                f"{self.bytes_written:,} bytes written")


def _run(undo: bool, doing: str, adapters: Iterable[StrPath] | StrPath, base: StrPath, output: StrPath,
         weights: Iterable[float], rounding: str, dtype: str, threads: int, copy: bool, in_place: bool, resume: bool,
         torch_key: str, durability: str, progress: ProgressBar) -> MergeReport:
    paths = _paths(adapters)
    for path in (*paths, base, output):
        _wait(path)
    with bar(progress, doing, "B") as tick:
        return MergeReport(_ferrule.merge(undo, paths, base, output, [float(w) for w in weights], rounding, dtype, threads,
                                          _flag(copy, "copy"), _flag(in_place, "in_place"), _flag(resume, "resume"),
                                          torch_key, durability, tick))


@strict
def merge(adapters: Iterable[StrPath] | StrPath, base: StrPath, output: StrPath, *, weights: Iterable[float] = (),
          rounding: Literal["peft", "once"] = "peft", dtype: Literal["keep", "f32", "bf16", "f16"] = "keep", threads: int = 0,
          copy: bool = False, in_place: bool = False, resume: bool = False, torch_key: str = "",
          durability: Durability = "safe", progress: ProgressBar = None) -> MergeReport:
    """Writes the model that `base` becomes with the adapters merged into its weights, without loading it (docs/merge.md).

    weights: a factor on the update of each adapter; 1 each if there are none.
    rounding: "peft" gives the bits of merge_and_unload() on a CPU, "once" adds in double precision and rounds once.
    dtype: of the weights that are written.
    copy: copy unchanged files instead of giving the base's a second name.
    in_place: `output` is `base`.
    resume: go on where a merge of the same files that was killed stopped.

    Raises UnsupportedError for what cannot be merged (docs/rules/MG.md).
    """
    return _run(False, "merging", adapters, base, output, weights, rounding, dtype, threads, copy, in_place, resume,
                torch_key, durability, progress)


@strict
def unmerge(adapters: Iterable[StrPath] | StrPath, merged: StrPath, output: StrPath, *, weights: Iterable[float] = (),
            rounding: Literal["peft", "once"] = "peft", dtype: Literal["keep", "f32", "bf16", "f16"] = "keep",
            threads: int = 0, copy: bool = False, in_place: bool = False, resume: bool = False, torch_key: str = "",
            durability: Durability = "safe", progress: ProgressBar = None) -> MergeReport:
    """Takes the adapters' updates off a model that they were merged into: the arguments are those of merge().

    Raises UnsupportedError for what a merge overwrites: DoRA, modules saved in full, biases, trained tokens (MG-9).
    """
    return _run(True, "unmerging", adapters, merged, output, weights, rounding, dtype, threads, copy, in_place, resume,
                torch_key, durability, progress)
