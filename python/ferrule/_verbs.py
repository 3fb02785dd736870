# SPDX-License-Identifier: Apache-2.0
"""The command's verbs, for Python: each returns a report with the document of ``ferrule VERB --json``.

All of them release the GIL and wait for pending saves into the paths that they use. Ctrl-C raises KeyboardInterrupt:
at once for verbs that only read, after the files are complete for those that write.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping, Union

from . import _ferrule, _pending
from ._errors import InvalidArgumentError
from ._ferrule import Adapter, AdapterConfig, BaseModel, Checkpoint
from ._reports import (
    CheckReport,
    ConvertReport,
    DiffReport,
    ExplainReport,
    FixReport,
    NormalizeReport,
    SaveReport,
    raise_first_error,
)

if TYPE_CHECKING:
    import numpy
    import torch

    State = Union[Mapping[str, Union["torch.Tensor", "numpy.ndarray[Any, Any]"]], Checkpoint, str, os.PathLike[str],
                  list[Union[str, os.PathLike[str]]]]

StrPath = Union[str, "os.PathLike[str]"]
Config = Union[AdapterConfig, str, "os.PathLike[str]"]
Durability = Literal["fast", "safe", "full"]

__all__ = ["check", "content_id", "convert", "diff", "explain", "fix", "normalize", "save"]


def _is_path(value: object) -> bool:
    return isinstance(value, (str, bytes, os.PathLike))


def _wrong_type(argument: str, expected: str, value: object) -> TypeError:
    return TypeError(f"{argument}: expected {expected}, found {type(value).__name__}")


def _wait(path: Any) -> None:
    if _is_path(path):
        _pending.wait_for(path)


def _opened(adapter: Any, argument: str) -> Adapter:
    if isinstance(adapter, Adapter):
        return adapter
    if not _is_path(adapter):
        raise _wrong_type(argument, "str, os.PathLike or ferrule.Adapter", adapter)
    _wait(adapter)
    return _ferrule.open(adapter)


def _words(values: Any, argument: str) -> list[str]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise _wrong_type(argument, "a list of str", values)
    return list(values)


def _base_of(base: Any) -> BaseModel | None:
    if base is None or isinstance(base, BaseModel):
        return base
    if not _is_path(base):
        raise _wrong_type("base", "str, os.PathLike, ferrule.BaseModel or None", base)
    return BaseModel.open(base)


def _base_of_config(config: AdapterConfig) -> BaseModel:
    """The base that the config names: a folder, or a repository in the Hub's cache."""
    name = config.base_model_name_or_path
    if not name:
        raise InvalidArgumentError("the config does not name its base model: give base")
    if os.path.exists(name):
        return BaseModel.open(name)
    return BaseModel.open(f"hf://{name}", offline=True)


def check(adapter: StrPath | Adapter, base: StrPath | BaseModel | None = None, *, engines: Iterable[str] = (),
          values: bool = False, allow_partial: bool = False) -> CheckReport:
    """Compares an adapter with a base model: whether all of it would apply, and as it was meant.

    base: a directory, an index, a file of tensors, a config.json, or a :class:`ferrule.BaseModel` (open it once for
        many adapters). None takes the base that the adapter's config names: a folder, or a repository that is in the
        Hub's cache. Only headers are read.
    engines: also check against these serving engines ("vllm", "sglang" ...).
    values: read the values too: NaN, Inf, a B that is all zeros.
    allow_partial: accept modules that the base does not have if at least one is found.

    Problems are in the report. Raises :class:`ferrule.Error` if the adapter or the base cannot be read.
    """
    wanted = _words(engines, "engines")
    opened = _opened(adapter, "adapter")
    model = _base_of(base) or _base_of_config(opened.config)
    return CheckReport(_ferrule.check(opened, model, wanted, values, allow_partial))


def explain(adapter: StrPath | Adapter, module: str | None = None) -> ExplainReport:
    """The strength of every module that the adapter changes: r, alpha, rsLoRA and the patterns resolved as PEFT does.

    module: only modules whose path, or the end of it after a dot, matches ("*_proj"; * and ?).
    """
    return ExplainReport(_ferrule.explain(_opened(adapter, "adapter"), module))


def diff(a: StrPath | Adapter, b: StrPath | Adapter, *, tensors: bool = False) -> DiffReport:
    """Compares what two adapters do to a base, not how they are written: factors that were rescaled or rotated are
    the same.

    tensors: list the tensors of each module too.

    Raises CorruptError for an adapter with errors among its findings.
    """
    opened_a, opened_b = _opened(a, "a"), _opened(b, "b")
    for opened in (opened_a, opened_b):
        raise_first_error(opened.findings)
    paths = [opened.directory if isinstance(given, Adapter) else given
             for given, opened in ((a, opened_a), (b, opened_b))]
    return DiffReport(_ferrule.diff(opened_a, opened_b, *paths, tensors))


def content_id(adapter: StrPath | Adapter) -> str:
    """64 hexadecimal digits that name the adapter's content (docs/content-id.md): the same for every container, file
    order, metadata, card and spelling of the config, different after any change of a tensor or of the config's
    meaning.

    Raises CorruptError for an adapter with errors among its findings.
    """
    opened = _opened(adapter, "adapter")
    raise_first_error(opened.findings)
    return _ferrule.content_id(opened)


def convert(adapter: StrPath, output: StrPath, *, to: Literal["safetensors", "bin"] = "safetensors",
            torch_key: str = "", durability: Durability = "safe") -> ConvertReport:
    """Rewrites the weights in the format with every tensor unchanged; the config, the card and other files stay as
    they are. `output` can be the adapter's own directory; it appears complete or not at all.

    torch_key: the entry of a .bin that holds the state dict, if it is nested.
    durability: "fast" (nothing is flushed), "safe" (old or new, whole, after a loss of power), or "full" (and the new
        one is on disk when the call returns).
    """
    _wait(adapter)
    _wait(output)
    return ConvertReport(_ferrule.convert(adapter, output, to, torch_key, durability))


def normalize(adapter: StrPath, output: StrPath, *, rank: Literal["uniform", "keep"] = "uniform",
              scale: Literal["b", "a", "split"] = "b", engines: Iterable[str] = (), torch_key: str = "",
              durability: Durability = "safe") -> NormalizeReport:
    """Writes a plain LoRA that every engine reads the same way: alpha = r, so that every strength is 1, no rsLoRA, no
    patterns. `output` can be the adapter's own directory.

    rank: one rank for all modules, padded with zeros, or each rank as it is.
    scale: which factor takes the strength.
    engines: also refuse what these serving engines would refuse or ignore.

    Raises UnsupportedError for what a plain LoRA cannot express (docs/rules/NM.md).
    """
    _wait(adapter)
    _wait(output)
    return NormalizeReport(_ferrule.normalize(adapter, output, rank, scale, engines, torch_key, durability))


def fix(adapter: StrPath, output: StrPath, *, base: StrPath | BaseModel | None = None,
        durability: Durability = "safe") -> FixReport:
    """Repairs problems that have exactly one fix: names that torch.compile, FSDP, DDP or an adapter left in keys, a
    missing "base_model.model.", types and fields of older PEFT releases, a stale adapter_model.bin; with base also the
    prefix of a wrapper. Tensors keep their bits. `output` can be the adapter's own directory.

    If an error remains, the report is not good (``report.raise_for_errors()``) and nothing is written.
    """
    _wait(adapter)
    _wait(output)
    return FixReport(_ferrule.fix(adapter, output, _base_of(base), durability))


def _configs(config: Any) -> dict[str, AdapterConfig]:
    if isinstance(config, AdapterConfig):
        return {"default": config}
    if _is_path(config):
        _wait(config)
        return {"default": AdapterConfig.open(config)}
    if not isinstance(config, Mapping) or not all(isinstance(name, str) for name in config):
        raise _wrong_type("config", "ferrule.AdapterConfig, a path, or a dict of these by adapter name", config)
    named: dict[str, AdapterConfig] = {}
    for name, one in config.items():
        if not isinstance(one, AdapterConfig) and not _is_path(one):
            raise _wrong_type(f"config[{name!r}]", "ferrule.AdapterConfig or a path", one)
        named[name] = one if isinstance(one, AdapterConfig) else AdapterConfig.open(one)
    return named


def _state(state: Any, torch_key: str) -> Any:
    if isinstance(state, Checkpoint):
        return state
    if isinstance(state, Mapping):
        return state if isinstance(state, dict) else dict(state)
    if _is_path(state) or isinstance(state, (list, tuple)):
        for path in state if isinstance(state, (list, tuple)) else [state]:
            _wait(path)
        return Checkpoint.open(list(state) if isinstance(state, tuple) else state, torch_key=torch_key)
    raise _wrong_type("state", "a dict of tensors, ferrule.Checkpoint, or paths", state)


def save(state: State, directory: StrPath, config: Config | Mapping[str, Config], *,
         select: Iterable[str] | None = None, format: Literal["safetensors", "bin"] = "safetensors",
         dtype: Literal["keep", "f32", "bf16", "f16"] = "keep",
         embeddings: Literal["auto", "always", "never"] = "auto", initial: StrPath | None = None,
         base: StrPath | BaseModel | None = None, fingerprint: bool = False, facts: Mapping[str, Any] | None = None,
         card: bool = True, torch_key: str = "", durability: Durability = "safe") -> SaveReport:
    """Saves adapters out of a state dict as ``PeftModel.save_pretrained`` does, without PEFT or torch.

    state: a dict of torch or numpy tensors, a :class:`ferrule.Checkpoint`, or paths that make one. It can be any part
        of a model's state dict that holds the adapters' tensors.
    config: the config of the adapter called "default", or a dict of configs by adapter name.
    select: save only these adapters.
    dtype: round floating-point tensors to this dtype.
    embeddings: whether to save the embedding layers too; "auto" decides as PEFT does.
    initial: the adapter right after its initialization (PiSSA, OLoRA): saves a plain LoRA.
    base: the base model or its config.json, for embeddings="auto".
    fingerprint: keep the fingerprint of base in the metadata, for check().
    facts: facts of the live model (docs/model-facts.md).
    card: write a README.md.

    The adapter called "default" is written to `directory` itself, every other one to a folder of its name, all of
    them or none. Raises :class:`ferrule.Error` if the save is refused (docs/rules); the directory is then unchanged.
    """
    if not _is_path(directory):
        raise _wrong_type("directory", "str or os.PathLike", directory)
    _wait(directory)
    configs = _configs(config)
    source = _state(state, torch_key)
    return SaveReport(_ferrule.save(source, directory, configs, select, format, embeddings, initial, _base_of(base),
                                    fingerprint, facts, card, dtype, durability))
