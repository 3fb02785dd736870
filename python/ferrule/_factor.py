# SPDX-License-Identifier: Apache-2.0
"""Verbs that compute with what adapters add to the weights: combine, resize, extract, to_lora."""

from __future__ import annotations

from typing import Iterable, Literal

from . import _ferrule
from ._arguments import Durability, StrPath, flag, numbers, optional, paths_of, positive, real, wait, whole
from ._progress import ProgressBar, bar
from ._reports._factor import CombineReport, ExtractReport, ResizeReport, ToLoraReport
from ._strict import strict

__all__ = ["combine", "extract", "resize", "to_lora"]

Method = Literal["cat", "svd", "linear", "ties", "dare_linear", "dare_ties", "magnitude_prune", "ties_svd",
                 "dare_linear_svd", "dare_ties_svd", "magnitude_prune_svd"]


@strict
def combine(adapters: Iterable[StrPath], output: StrPath, *, method: Method, weights: Iterable[float] = (),
            rank: int | None = None, density: float | None = None, seed: int = 0, report: StrPath | None = None,
            threads: int = 0, torch_key: str = "", durability: Durability = "safe",
            progress: ProgressBar = None) -> CombineReport:
    """Writes the weighted sum of several LoRA adapters of one base as one plain LoRA of strength 1 (docs/combine.md).

    method: "cat" is the exact sum, "svd" the best approximation of rank `rank`; the others are those of PEFT's
        add_weighted_adapter. Without "_svd" they combine A and B apart, which is not the sum: the distance is in the
        report.
    weights: a factor on the update of each adapter; 1 each if there are none.
    density: the share of values that ties, dare and magnitude_prune keep.
    seed: of the draws of dare, which are those of torch's CPU generator.
    report: a file for a page of HTML with a plot of each module's singular values.
    threads: how many work at once; 0 is one for each core.

    Raises UnsupportedError for what does not add up (docs/rules/FA.md).
    """
    paths = paths_of(adapters, "adapters")
    wait(output)
    with bar(progress, "combining", "module") as tick:
        return CombineReport(_ferrule.combine(paths, output, method, numbers(weights, "weights"),
                                              optional(positive, rank, "rank"), optional(real, density, "density"),
                                              whole(seed, "seed"), report, whole(threads, "threads"), torch_key, durability,
                                              tick))


@strict
def resize(adapter: StrPath, output: StrPath, *, rank: int | None = None, energy: float | None = None,
           max_error: float | None = None, budget: int | None = None, report: StrPath | None = None, threads: int = 0,
           torch_key: str = "", durability: Durability = "safe", progress: ProgressBar = None) -> ResizeReport:
    """Cuts the update of each module of a LoRA to the best one of a smaller rank. Exactly one of:

    rank: the largest rank of any module.
    energy: the share of the squared norm that each module keeps.
    max_error: the relative error that each module may have.
    budget: the parameters of all modules together.

    Besides:

    report: a file for a page of HTML with a plot of each module's singular values.
    threads: how many work at once; 0 is one for each core.

    `output` can be the adapter's own directory. Raises UnsupportedError (docs/rules/FA.md).
    """
    wait(adapter)
    wait(output)
    with bar(progress, "resizing", "module") as tick:
        return ResizeReport(_ferrule.resize(adapter, output, optional(positive, rank, "rank"), optional(real, energy, "energy"),
                                            optional(real, max_error, "max_error"), optional(positive, budget, "budget"),
                                            report, whole(threads, "threads"), torch_key, durability, tick))


@strict
def extract(base: StrPath, tuned: StrPath, output: StrPath, *, rank: int, energy: float | None = None,
            full_modules: bool = False, report: StrPath | None = None, threads: int = 0, durability: Durability = "safe",
            progress: ProgressBar = None) -> ExtractReport:
    """Writes the difference of two models as a LoRA: the best update of rank `rank` for each layer that changed.

    energy: the share of the squared norm that each module keeps, if a smaller rank does it.
    full_modules: keep norms, biases and embeddings that changed as modules saved in full.
    report: a file for a page of HTML with a plot of each module's singular values.
    threads: how many work at once; 0 is one for each core.

    Raises UnsupportedError if the models are not of one architecture (docs/rules/FA.md).
    """
    wait(output)
    with bar(progress, "extracting", "module") as tick:
        return ExtractReport(_ferrule.extract(base, tuned, output, positive(rank, "rank"), optional(real, energy, "energy"),
                                              flag(full_modules, "full_modules"), report, whole(threads, "threads"),
                                              durability, tick))


@strict
def to_lora(adapter: StrPath, output: StrPath, *, rank: int | None = None, max_error: float | None = None,
            base: StrPath | None = None, report: StrPath | None = None, threads: int = 0, torch_key: str = "",
            durability: Durability = "safe", progress: ProgressBar = None) -> ToLoraReport:
    """Writes what an adapter of another method adds to the base as a plain LoRA. One of rank and max_error, or both.

    base: the directory of the base model, for methods that multiply the weight (DoRA, OFT, BOFT, HRA, IA3) and those
        whose files do not tell its shape.
    report: a file for a page of HTML with a plot of each module's singular values.
    threads: how many work at once; 0 is one for each core.

    Raises UnsupportedError for methods that change no weight (docs/rules/FA.md).
    """
    wait(adapter)
    wait(output)
    with bar(progress, "converting", "module") as tick:
        return ToLoraReport(_ferrule.to_lora(adapter, output, optional(positive, rank, "rank"),
                                             optional(real, max_error, "max_error"), base, report,
                                             whole(threads, "threads"), torch_key, durability, tick))
