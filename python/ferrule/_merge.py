# SPDX-License-Identifier: Apache-2.0
"""Adapters into the weights of a base and off again: merge, unmerge."""

from __future__ import annotations

from typing import Iterable, Literal

from . import _ferrule
from ._arguments import Durability, StrPath, flag, is_path, numbers, paths_of, wait, whole, wrong_type
from ._progress import ProgressBar, bar
from ._reports._merge import MergeReport
from ._strict import strict

__all__ = ["merge", "unmerge"]


def _run(undo: bool, doing: str, adapters: Iterable[StrPath] | StrPath, base: StrPath, output: StrPath,
         weights: Iterable[float], rounding: str, dtype: str, threads: int, copy: bool, in_place: bool, resume: bool,
         torch_key: str, durability: str, progress: ProgressBar) -> MergeReport:
    paths = paths_of(adapters, "adapters")
    if not is_path(base):
        raise wrong_type("merged" if undo else "base", "str or os.PathLike", base)
    for path in (*paths, base, output):
        wait(path)
    with bar(progress, doing, "B") as tick:
        return MergeReport(_ferrule.merge(undo, paths, base, output, numbers(weights, "weights"), rounding, dtype,
                                          whole(threads, "threads"),
                                          flag(copy, "copy"), flag(in_place, "in_place"), flag(resume, "resume"),
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
    resume: go on where a merge of the same files that was killed or interrupted stopped: it leaves the hidden folder
        ``.OUTPUT.ferrule-work``, which the next merge to `output` uses or removes.

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
