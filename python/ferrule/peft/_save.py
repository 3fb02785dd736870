# SPDX-License-Identifier: Apache-2.0
"""``save_pretrained``: PEFT's files, written natively."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
from dataclasses import dataclass
from typing import Any, Literal, Mapping, Union, overload

import torch

from .. import _pending, _warnings
from .._errors import InvalidArgumentError
from .._ferrule import LiveTensors, SavePlan, Snapshot
from .._strict import refuse_misspelled
from . import _collect, _embeddings, _facts, _native, _ranks, _shards
from . import _live_model as live

Durability = Literal["fast", "safe", "full"]
Card = Union[bool, Literal["plain"]]

#: The most snapshots at a time: the next save waits until the first is written.
_MAX_IN_FLIGHT = 2


#: Keywords that PEFT and transformers pass along.
_IGNORED = frozenset({"max_shard_size", "push_to_hub", "save_function", "subfolder", "token", "variant"})

#: Keywords of ferrule.save() that PEFT does not have, and would ignore: what is called so here.
_OF_SAVE = {"base": None, "dtype": None, "embeddings": "save_embedding_layers", "facts": None, "fingerprint": None,
            "format": "safe_serialization", "initial": "path_initial_model_for_weight_conversion", "progress": None,
            "select": "selected_adapters", "torch_key": None}


class _TensorParallel(Exception):
    """transformers' tensor parallelism splits the adapters over ranks: PEFT gathers them."""


@dataclass
class _Job:
    """One transaction: tensors, and how to save them."""

    tensors: LiveTensors
    plan: SavePlan

    def write(self, directory: str) -> None:
        report(self.plan.write(self.tensors, directory))


def report(findings: list[dict[str, str]]) -> None:
    for finding in findings:
        if finding["severity"] == "warning":
            text = f"[{finding['rule']}] {finding['message']}"
            _warnings.warn(text + (f"; {finding['advice']}" if finding["advice"] else ""))


@overload
def save_pretrained(
    model: torch.nn.Module,
    save_directory: str | os.PathLike[str],
    safe_serialization: bool = True,
    selected_adapters: list[str] | None = None,
    save_embedding_layers: Literal["auto"] | bool = "auto",
    is_main_process: bool = True,
    path_initial_model_for_weight_conversion: str | None = None,
    *,
    state_dict: Mapping[str, Any] | None = None,
    asynchronous: Literal[True],
    durability: Durability = "safe",
    rank_timeout: float = 60.0,
    card: Card = True,
    **kwargs: Any,
) -> _pending.PendingSave: ...


@overload
def save_pretrained(
    model: torch.nn.Module,
    save_directory: str | os.PathLike[str],
    safe_serialization: bool = True,
    selected_adapters: list[str] | None = None,
    save_embedding_layers: Literal["auto"] | bool = "auto",
    is_main_process: bool = True,
    path_initial_model_for_weight_conversion: str | None = None,
    *,
    state_dict: Mapping[str, Any] | None = None,
    asynchronous: Literal[False] = False,
    durability: Durability = "safe",
    rank_timeout: float = 60.0,
    card: Card = True,
    **kwargs: Any,
) -> None: ...


@overload
def save_pretrained(
    model: torch.nn.Module,
    save_directory: str | os.PathLike[str],
    safe_serialization: bool = True,
    selected_adapters: list[str] | None = None,
    save_embedding_layers: Literal["auto"] | bool = "auto",
    is_main_process: bool = True,
    path_initial_model_for_weight_conversion: str | None = None,
    *,
    state_dict: Mapping[str, Any] | None = None,
    asynchronous: bool,
    durability: Durability = "safe",
    rank_timeout: float = 60.0,
    card: Card = True,
    **kwargs: Any,
) -> _pending.PendingSave | None: ...


def save_pretrained(
    model: torch.nn.Module,
    save_directory: str | os.PathLike[str],
    safe_serialization: bool = True,
    selected_adapters: list[str] | None = None,
    save_embedding_layers: Literal["auto"] | bool = "auto",
    is_main_process: bool = True,
    path_initial_model_for_weight_conversion: str | None = None,
    *,
    state_dict: Mapping[str, Any] | None = None,
    asynchronous: bool = False,
    durability: Durability = "safe",
    rank_timeout: float = 60.0,
    card: Card = True,
    **kwargs: Any,
) -> _pending.PendingSave | None:
    """Saves the adapters of a PeftModel, a PeftMixedModel or a model with injected adapters.

    The files and the arguments are those of ``PeftModel.save_pretrained``. A keyword that is misspelled is a
    TypeError; other keywords that are not listed here are ignored, as PEFT ignores them. Weights, config and card of
    all adapters appear together or not at all. The base model's tensors are not touched, and the network is not.

    state_dict: the tensors, if the caller has gathered them (FSDP, DeepSpeed).
    asynchronous: copy the adapters' tensors and return a :class:`PendingSave` at once; the files are written in
        the background. Errors are raised by its ``wait()``, by the next save, or are printed at exit.
    durability: "fast" (nothing is flushed), "safe" (old or new, whole, after a loss of power), or "full"
        (and the new one is on disk when the call returns).
    rank_timeout: the seconds that ranks of a sharded model (FSDP, tensor parallel, ZeRO-3) wait for each other.
    card: write a README.md; "plain" leaves the section about Ferrule out.

    Every rank of a sharded model calls this with the same arguments. The adapter's tensors are gathered one at a time,
    never the base; one rank writes (those with is_main_process, if others do not have it), and the others return when
    the files are there. If a rank does not call it in time, the others raise an error that names it.

    Raises TypeError or ValueError for wrong arguments, and :class:`ferrule.Error` if the save is refused
    (docs/rules) or the system fails; the directory is then unchanged.
    """
    _refuse_misspelled(kwargs)
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    whole_model, model = model, live.unwrap(model)
    configs = live.configs_of(model)
    directory = _checked_directory(save_directory)
    names = _checked_names(selected_adapters, configs)
    if save_embedding_layers not in ("auto", True, False):
        raise InvalidArgumentError(f"save_embedding_layers must be True, False or \"auto\", not {save_embedding_layers!r}")
    if state_dict is not None and not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a dict, not {type(state_dict).__name__}")
    if state_dict is None and live.has_own_state_dict(model):
        state_dict = model.state_dict()
    _pending.raise_failures()
    with_peft = functools.partial(
        _with_peft, model, directory, asynchronous, safe_serialization=safe_serialization, selected_adapters=names,
        save_embedding_layers=save_embedding_layers, is_main_process=is_main_process,
        path_initial_model_for_weight_conversion=path_initial_model_for_weight_conversion,
        **({} if state_dict is None else {"state_dict": state_dict}), **kwargs)
    if not _native.can_save(configs):
        return with_peft()
    initial = _initial_folder(path_initial_model_for_weight_conversion, kwargs)
    if initial is not None:
        _refuse_conversion(configs, names)
    options = {"safe_serialization": bool(safe_serialization), "initial": initial, "durability": durability,
               "card": card}
    with _Ranks(whole_model, directory, is_main_process, rank_timeout) as ranks:
        try:
            jobs = [_prepare(model, configs, group, state_dict, save_embedding_layers, options, ranks)
                    for group in _groups(configs, names)]
        except _TensorParallel:
            return with_peft()
        if not ranks.write:
            return _pending.PendingSave(directory, None) if asynchronous else None
        if asynchronous:
            return _save_later(jobs, directory)
        _pending.wait_for(directory)
        for job in jobs:
            job.write(directory)
    return None


class _Ranks:
    """This rank among those of a sharded model; alone if each has the whole adapter."""

    def __init__(self, model: torch.nn.Module, directory: str, is_main_process: bool, timeout: float) -> None:
        self._model = model
        self.write = bool(is_main_process)
        self._directory, self._is_main, self._timeout = directory, bool(is_main_process), timeout
        self._meeting: _ranks.Meeting | None = None

    def gather(self, tensors: dict[str, Any], is_live: bool) -> dict[str, Any]:
        """The tensors, whole. On ranks that do not write, those of which they have a part are left out."""
        gathering = _ranks.Gathering(self._model, tensors, is_live)
        if not gathering:
            return {**tensors, **gathering.replicated}
        if self._meeting is None:
            self._meeting = gathering.meet(self._directory, self._is_main, self._timeout)
            self.write = self._meeting.writes
        whole = gathering.gather(self.write)
        return {key: whole.get(key, tensor) for key, tensor in tensors.items()
                if key in whole or key not in gathering.keys}

    def __enter__(self) -> _Ranks:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if self._meeting is not None:
            self._meeting.finish(error)


def _refuse_misspelled(keywords: Mapping[str, Any]) -> None:
    if not keywords:
        return
    known = inspect.signature(save_pretrained).parameters
    refuse_misspelled("save_pretrained", [name for name in keywords if name not in _IGNORED], known)
    for name in keywords:
        if name in _OF_SAVE:
            instead = _OF_SAVE[name]
            raise TypeError(f"save_pretrained() got an unexpected keyword argument {name!r}, which ferrule.save() has"
                            + (f"; here it is {instead!r}" if instead else ""))


def _checked_directory(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"save_directory must be a str or os.PathLike, not {type(path).__name__}")
    directory = os.fspath(path)
    if os.path.isfile(directory):
        raise InvalidArgumentError(f"Provided path ({directory}) should be a directory, not a file")
    return directory


def _checked_names(selected: Any, configs: Mapping[str, Any]) -> list[str]:
    if selected is None:
        return list(configs)
    if isinstance(selected, str) or not hasattr(selected, "__iter__"):
        raise TypeError(f"selected_adapters must be a list of names, not {type(selected).__name__}")
    names = list(selected)
    if any(name not in configs for name in names):
        raise InvalidArgumentError("You passed an invalid `selected_adapters` arguments, current supported adapter names"
                                   f" are {list(configs)} - got {names}.")
    return names


def _initial_folder(path: Any, kwargs: Mapping[str, Any]) -> str | None:
    if path is None:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path_initial_model_for_weight_conversion must be a str or os.PathLike, "
                        f"not {type(path).__name__}")
    _pending.wait_for(path)
    subfolder = kwargs.get("subfolder")
    return os.path.join(path, subfolder) if subfolder else os.fspath(path)


def _refuse_conversion(configs: Mapping[str, Any], names: list[str]) -> None:
    for name in names:
        config = configs[name]
        if getattr(config, "use_rslora", False) and (config.rank_pattern or config.alpha_pattern):
            raise InvalidArgumentError(
                "Passing `path_initial_model_for_weight_conversion` to `save_pretrained` is not supported when using "
                "`rank_pattern` or `alpha_pattern` at the same time as `use_rslora=True`.")


def _groups(configs: Mapping[str, Any], names: list[str]) -> list[list[str]]:
    """Groups the adapters that are collected and saved together.

    Only one adaption prompt is in the model at a time, so each of them is its own transaction.
    """
    alone = [name for name in names if live.type_of(configs[name]) == "ADAPTION_PROMPT"]
    if len(alone) < 2:
        return [names] if names else []
    return [[name] for name in names]


def _walk(model: torch.nn.Module, configs: Mapping[str, Any], names: list[str],
          embeddings: tuple[torch.nn.Module, ...]) -> _collect.Collected:
    wanted = _collect.wanted_of_base(configs, names, embeddings)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(_collect.active_adaption_prompt(model, name, configs[name]))
        found = _collect.walk(model, wanted)
    if found.tensor_parallel:
        raise _TensorParallel
    return found


def _prepare(model: torch.nn.Module, configs: Mapping[str, Any], names: list[str],
             state_dict: Mapping[str, Any] | None, wish: bool | str, options: dict[str, Any], ranks: _Ranks) -> _Job:
    _ranks.reshard(model)
    found = _walk(model, configs, names, ())
    paths = [_facts.base_path(path) for path in found.embedding_like]
    embeddings = {name: _embeddings.decide(model, configs[name], wish, paths) for name in names}
    if any(embeddings.values()):
        modules = _facts.embedding_modules(model)
        found = _walk(model, configs, names, tuple(module for module in modules if module is not None))
    # An adaption prompt that was swapped in only now is not in the caller's state dict.
    tensors = found.tensors if state_dict is None else _collect.from_state_dict(found, state_dict)
    tensors = ranks.gather(tensors, is_live=state_dict is None)
    tensors.update(found.beside)
    for name in names:
        _collect.take_top_k(tensors, name, configs[name])
        if configs[name].is_prompt_learning:
            tensors.update(_collect.prompt_tensors(model, name, configs[name]))
    _shards.refuse(tensors, may_be_empty=any(live.type_of(configs[name]) in ("ADALORA", "OFT") for name in names))
    base_name = live.base_of(model).__dict__.get("name_or_path", None) or None
    for name in names:
        if configs[name].base_model_name_or_path is None:
            # PEFT changes the live config too.
            configs[name].base_model_name_or_path = base_name
    texts = [(name, _facts.config_text(config), embeddings.get(name, False)) for name, config in configs.items()
             if len(names) > 1 or live.type_of(config) != "ADAPTION_PROMPT" or name in names]
    facts = _facts.of_model(model, found, configs)
    plan = SavePlan(texts, names, facts, **options)
    return _Job(LiveTensors(tensors), plan)


def _save_later(jobs: list[_Job], directory: str) -> _pending.PendingSave:
    _pending.wait_for_room(_MAX_IN_FLIGHT)
    copies = [(Snapshot(job.tensors), job.plan) for job in jobs]

    def work() -> None:
        while copies:
            snapshot, plan = copies.pop(0)
            report(plan.write(snapshot, directory))

    return _pending.submit(directory, work)


def _with_peft(model: torch.nn.Module, directory: str, asynchronous: bool,
               **arguments: Any) -> _pending.PendingSave | None:
    """Saves with PEFT what the native selection does not handle (the user's own method, tensor parallelism)."""
    _pending.wait_for(directory)
    _native.peft_save(model, directory, **arguments)
    return _pending.PendingSave(directory, None) if asynchronous else None
