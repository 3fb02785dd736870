# SPDX-License-Identifier: Apache-2.0
"""Verbs that compute with what adapters add to the weights: combine, resize, extract, to_lora; and their reports."""

from __future__ import annotations

from typing import Iterable, Literal, Sequence

from . import _ferrule
from ._progress import ProgressBar, bar
from ._reports import Record, Report, _count, _number
from ._strict import strict
from ._verbs import Durability, StrPath, _flag, _paths, _wait

__all__ = [
    "CombineReport",
    "ExtractReport",
    "FactoredModule",
    "OtherTensor",
    "ResizeReport",
    "ToLoraReport",
    "combine",
    "extract",
    "resize",
    "to_lora",
]

Method = Literal["cat", "svd", "linear", "ties", "dare_linear", "dare_ties", "magnitude_prune", "ties_svd",
                 "dare_linear_svd", "dare_ties_svd", "magnitude_prune_svd"]


class FactoredModule(Record):
    """A module whose update was written as a product B A."""

    __slots__ = ()

    @property
    def module(self) -> str:
        """Its path in the base model."""
        return self._fields["module"]

    @property
    def rank(self) -> int:
        return self._fields["rank"]

    @property
    def rank_before(self) -> int:
        """0 if it was not a product."""
        return self._fields["rank_before"]

    @property
    def norm(self) -> float | None:
        """The Frobenius norm of the exact update."""
        return self._fields["norm"]

    @property
    def relative_error(self) -> float | None:
        """|exact - written| / |exact|."""
        return self._fields["relative_error"]

    @property
    def singular_values(self) -> list[float]:
        """Of the exact update, descending, as far as they were computed; empty if they were not needed."""
        return list(self._fields["singular_values"])


class OtherTensor(Record):
    """A tensor that changed and is not in A and B."""

    __slots__ = ()

    @property
    def tensor(self) -> str:
        return self._fields["tensor"]

    @property
    def relative_change(self) -> float | None:
        return self._fields["relative_change"]

    @property
    def kept(self) -> bool:
        return self._fields["kept"]


class _Factored(Report, abstract=True):
    __slots__ = ()

    @property
    def output(self) -> str:
        """Where it was written to."""
        return self._fields["output"]

    @property
    def weights_file(self) -> str:
        return self._fields["weights_file"]

    @property
    def parameters(self) -> int:
        """Elements of all A and B."""
        return self._fields["parameters"]

    @property
    def relative_error(self) -> float | None:
        """|exact - written| / |exact|, over all modules."""
        return self._fields["relative_error"]

    @property
    def modules(self) -> list[FactoredModule]:
        """Sorted by path."""
        return [FactoredModule(fields) for fields in self._fields["modules"]]

    def _table(self) -> tuple[Sequence[str], list[tuple[str, ...]]]:
        return ("module", "rank", "norm", "relative error"), [
            (row.module, f"{row.rank:,}", _number(row.norm), _number(row.relative_error)) for row in self.modules]

    def _summary(self) -> str:
        return (f"{self.output}: {_count(len(self.modules), 'module')}, {_count(self.parameters, 'parameter')}, "
                f"relative error {_number(self.relative_error)}")


class CombineReport(_Factored):
    """What combine() wrote."""

    __slots__ = ()


class ResizeReport(_Factored):
    """What resize() wrote."""

    __slots__ = ()

    @property
    def in_place(self) -> bool:
        return self._fields["in_place"]

    @property
    def parameters_before(self) -> int:
        return self._fields["parameters_before"]

    @property
    def copied(self) -> list[str]:
        """Names of the other files that were copied."""
        return list(self._fields["copied"])


class ExtractReport(_Factored):
    """What extract() wrote."""

    __slots__ = ()

    @property
    def unchanged(self) -> int:
        """Layers that did not change."""
        return self._fields["unchanged"]

    @property
    def others(self) -> list[OtherTensor]:
        """What changed besides: norms, biases, embeddings. Sorted by name."""
        return [OtherTensor(fields) for fields in self._fields["others"]]


class ToLoraReport(_Factored):
    """What to_lora() wrote."""

    __slots__ = ()

    @property
    def source_type(self) -> str:
        """The PEFT type that it was: "LOHA"."""
        return self._fields["from"]


@strict
def combine(adapters: Iterable[StrPath], output: StrPath, *, method: Method, weights: Iterable[float] = (),
            rank: int | None = None, density: float | None = None, seed: int = 0, torch_key: str = "",
            durability: Durability = "safe", progress: ProgressBar = None) -> CombineReport:
    """Writes the weighted sum of several LoRA adapters of one base as one plain LoRA of strength 1 (docs/combine.md).

    method: "cat" is the exact sum, "svd" the best approximation of rank `rank`; the others are those of PEFT's
        add_weighted_adapter. Without "_svd" they combine A and B apart, which is not the sum: the distance is in the
        report.
    weights: a factor on the update of each adapter; 1 each if there are none.
    density: the share of values that ties, dare and magnitude_prune keep.
    seed: of the draws of dare, which are those of torch's CPU generator.

    Raises UnsupportedError for what does not add up (docs/rules/FA.md).
    """
    paths = _paths(adapters)
    _wait(output)
    with bar(progress, "combining", "module") as tick:
        return CombineReport(_ferrule.combine(paths, output, method, [float(w) for w in weights], rank, density, seed,
                                              torch_key, durability, tick))


@strict
def resize(adapter: StrPath, output: StrPath, *, rank: int | None = None, energy: float | None = None,
           max_error: float | None = None, budget: int | None = None, torch_key: str = "",
           durability: Durability = "safe", progress: ProgressBar = None) -> ResizeReport:
    """Cuts the update of each module of a LoRA to the best one of a smaller rank. Exactly one of:

    rank: the largest rank of any module.
    energy: the share of the squared norm that each module keeps.
    max_error: the relative error that each module may have.
    budget: the parameters of all modules together.

    `output` can be the adapter's own directory. Raises UnsupportedError (docs/rules/FA.md).
    """
    _wait(adapter)
    _wait(output)
    with bar(progress, "resizing", "module") as tick:
        return ResizeReport(_ferrule.resize(adapter, output, rank, energy, max_error, budget, torch_key, durability, tick))


@strict
def extract(base: StrPath, tuned: StrPath, output: StrPath, *, rank: int, energy: float | None = None,
            full_modules: bool = False, durability: Durability = "safe", progress: ProgressBar = None) -> ExtractReport:
    """Writes the difference of two models as a LoRA: the best update of rank `rank` for each layer that changed.

    energy: the share of the squared norm that each module keeps, if a smaller rank does it.
    full_modules: keep norms, biases and embeddings that changed as modules saved in full.

    Raises UnsupportedError if the models are not of one architecture (docs/rules/FA.md).
    """
    _wait(output)
    with bar(progress, "extracting", "module") as tick:
        return ExtractReport(_ferrule.extract(base, tuned, output, rank, energy, _flag(full_modules, "full_modules"),
                                              durability, tick))


@strict
def to_lora(adapter: StrPath, output: StrPath, *, rank: int | None = None, max_error: float | None = None,
            base: StrPath | None = None, torch_key: str = "", durability: Durability = "safe",
            progress: ProgressBar = None) -> ToLoraReport:
    """Writes what an adapter of another method adds to the base as a plain LoRA. One of rank and max_error, or both.

    base: the directory of the base model, for methods that multiply the weight (DoRA, OFT, BOFT, HRA, IA3) and those
        whose files do not tell its shape.

    Raises UnsupportedError for methods that change no weight (docs/rules/FA.md).
    """
    _wait(adapter)
    _wait(output)
    with bar(progress, "converting", "module") as tick:
        return ToLoraReport(_ferrule.to_lora(adapter, output, rank, max_error, base, torch_key, durability, tick))
