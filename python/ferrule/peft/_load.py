# SPDX-License-Identifier: Apache-2.0
"""Loading: PEFT's models, with the weights read natively and every module accounted for."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import threading
from typing import Any, Iterator

import peft
import torch
from huggingface_hub import constants, try_to_load_from_cache
from peft.utils import save_and_load

from .. import _pending
from .._errors import CorruptError, NotFoundError
from .._strict import refuse_misspelled
from . import _live_base
from . import _live_model as live

#: PEFT's own, patched or not.
stock_load = save_and_load.load_peft_weights


#: What PEFT looks for in its further keywords.
_OF_PEFT = ("device_map", "ignore_mismatched_sizes", "max_memory", "offload_dir", "offload_folder", "offload_index",
            "subfolder", "torch_device", "use_safetensors")
#: What huggingface_hub takes of them.
_OF_HUB = ("cache_dir", "force_download", "local_files_only", "proxies", "resume_download", "revision", "token",
           "use_auth_token", "user_agent")


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def load_peft_weights(model_id: str, device: Any = None, key_mapping: Any = None, **kwargs: Any) -> dict[str, Any]:
    """``peft.load_peft_weights``: waits for a pending save of that path; local files are read natively."""
    _pending.wait_for(model_id)
    folder = os.path.join(model_id, kwargs["subfolder"]) if kwargs.get("subfolder") else model_id
    path = os.path.join(folder, "adapter_model.safetensors")
    if key_mapping or not os.path.isfile(path):
        if key_mapping is not None:
            kwargs["key_mapping"] = key_mapping  # PEFT 0.15 and older do not know it.
        return stock_load(model_id, device=device, **kwargs)
    return read_weights(path, device)


def waiting_peft_weights(model_id: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """PEFT's own, after the pending save of that path."""
    _pending.wait_for(model_id)
    return stock_load(model_id, *args, **kwargs)


def read_weights(path: str, device: Any = None) -> dict[str, Any]:
    """The tensors of a safetensors file, as PEFT places them."""
    from ..torch import load_file

    where = torch.device(peft.utils.infer_device() if device is None else device)
    if where.type == "mps":
        where = torch.device("cpu")
    return load_file(path, device=str(where))


class _Watch:
    """While from_pretrained runs: weights are read natively, and what set_peft_model_state_dict returns is kept,
    since PEFT drops it. Other threads that load meanwhile see no difference."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._local = threading.local()
        self._depth = 0
        self._stock: dict[str, Any] = {}
        self._ours = {"set_peft_model_state_dict": self._set, "load_peft_weights": load_peft_weights}

    @contextlib.contextmanager
    def results(self) -> Iterator[list[tuple[list[str], Any]]]:
        from peft import peft_model

        before = getattr(self._local, "kept", None)
        with self._lock:
            if self._depth == 0:
                self._stock = {name: getattr(peft_model, name) for name in self._ours}
                vars(peft_model).update(self._ours)
            self._depth += 1
        self._local.kept = kept = []
        try:
            yield kept
        finally:
            self._local.kept = before
            with self._lock:
                self._depth -= 1
                if self._depth == 0:
                    vars(peft_model).update(self._stock)

    def _set(self, model: Any, peft_model_state_dict: Any, adapter_name: str = "default", *args: Any,
             **kwargs: Any) -> Any:
        given = dict(peft_model_state_dict)
        result = self._stock["set_peft_model_state_dict"](model, peft_model_state_dict, adapter_name, *args, **kwargs)
        kept = getattr(self._local, "kept", None)
        if kept is not None:
            _place_projections(model, given, adapter_name, result)
            kept.append((list(given), result))
        return result


def _place_projections(model: Any, tensors: dict[str, Any], adapter_name: str, result: Any) -> None:
    """What the layers of VeRA and similar methods share: PEFT up to 0.20 makes it again from a seed."""
    for key in list(result.unexpected_keys):
        owner, _, name = key.rpartition(".")
        buffers = getattr(model.base_model, name, None) if owner == "base_model" else None
        if not isinstance(buffers, torch.nn.Module) or adapter_name not in getattr(buffers, "_buffers", ()):
            continue
        buffer = buffers._buffers[adapter_name]
        if key in tensors and buffer is not None and buffer.shape == tensors[key].shape and not buffer.is_meta:
            buffer.copy_(tensors[key])
            result.unexpected_keys.remove(key)


_watch = _Watch()


def from_pretrained(
    model: torch.nn.Module,
    model_id: str | os.PathLike[str],
    adapter_name: str = "default",
    is_trainable: bool = False,
    config: Any = None,
    *,
    strict: bool = True,
    **kwargs: Any,
) -> peft.PeftModel:
    """``PeftModel.from_pretrained``, strict: N of N modules, or an error that says what is missing.

    PEFT warns of tensors that the file lacks and is silent about those that found no place. With ``strict`` both
    are a :class:`ferrule.CorruptError` (rules BS-1 and BS-12). So is what PEFT raises about an adapter that does not
    fit the model, with the rule of ``ferrule check`` (BS-2, BS-9, ...). After any error the base model has its own
    layers again. The other arguments are PEFT's; one that is misspelled is a TypeError. Waits for a pending save of
    `model_id`.

    Raises NotFoundError without a request for a path that is not there.
    """
    if kwargs:
        known = {*inspect.signature(from_pretrained).parameters, *_OF_PEFT, *_OF_HUB,
                 *inspect.signature(peft.PeftModel.from_pretrained).parameters}
        refuse_misspelled("from_pretrained", kwargs, known - {"kwargs"})
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if not _is_path(model_id):
        raise TypeError(f"model_id must be a str or os.PathLike, not {type(model_id).__name__}")
    if not isinstance(adapter_name, str):
        raise TypeError(f"adapter_name must be a str, not {type(adapter_name).__name__}")
    model_id = os.fspath(model_id)
    _pending.wait_for(model_id)
    _refuse_missing(model_id)
    base = _live_base.Layers(model) if strict else None
    try:
        with _watch.results() as results:
            loaded = peft.PeftModel.from_pretrained(model, model_id, adapter_name, is_trainable=is_trainable,
                                                    config=config, **kwargs)
    except Exception as error:
        if base is None:
            raise
        base.restore()
        folder = os.path.join(model_id, kwargs.get("subfolder") or "")
        found = _live_base.why_not(model, folder) if os.path.isdir(folder) else None
        if found is None:
            raise
        raise CorruptError(found[1], found[0], model_id) from error
    if base is not None and results:
        problem = _problem(loaded, adapter_name, *results[-1])
        if problem is not None:
            base.restore()
            raise CorruptError(problem[1], problem[0], model_id)
    return loaded


def _refuse_missing(model_id: str) -> None:
    """A path that is not there is not asked for on the Hub: only "name" and "namespace/name" can be repositories, and
    not if the namespace is a folder here."""
    if os.path.exists(model_id):
        return
    parts = model_id.split("/")
    may_be_repository = len(parts) <= 2 and all(parts) and not parts[0].startswith((".", "~")) and "\\" not in model_id
    if may_be_repository and len(parts) == 2:
        may_be_repository = not os.path.isdir(parts[0])
    if may_be_repository and constants.HF_HUB_OFFLINE:
        may_be_repository = isinstance(try_to_load_from_cache(model_id, "adapter_config.json"), str)
    if not may_be_repository:
        raise NotFoundError("there is no such file or directory", "", model_id, errno.ENOENT)


_SHARED = ("vblora_vector_bank", "prompt_encoder", ".tinylora_v.")


def _is_missing(key: str, model: Any, name: str) -> bool:
    """As in PEFT: the base and other adapters are not in the file, and views of shared memory are not either."""
    config = model.peft_config[name]
    if any(part in key for part in _SHARED):
        return False
    kind = live.type_of(config)
    if kind == "UNILORA" and ".unilora_theta_d." in key and not key.startswith("base_model.unilora_theta_d."):
        return False
    prefix = _prefix_of(model, config)
    return prefix is not None and prefix in key and name in key.split(".")


def _prefix_of(model: Any, config: Any) -> str | None:
    """What the names of the method's tensors begin with. PEFT before 0.16 has it only in the tuner."""
    mapping = getattr(peft.mapping, "PEFT_TYPE_TO_PREFIX_MAPPING", {})
    return mapping.get(config.peft_type) or getattr(model.base_model, "prefix", None)


def _module_of(key: str, marks: set[str]) -> str:
    """The module that a disk key belongs to: the parts in front of the first one that names a tensor."""
    parts = key.split(".")
    cut = next((i for i, part in enumerate(parts) if part in marks), len(parts) - 1)
    return ".".join(parts[:cut])


def _problem(model: Any, name: str, given: list[str], result: Any) -> tuple[str, str] | None:
    """The rule, and what is missing in which module."""
    missing = [key for key in result.missing_keys if _is_missing(key, model, name)]
    config = model.peft_config[name]
    unexpected = [] if config.is_prompt_learning else list(result.unexpected_keys)
    if not missing and not unexpected:
        return None
    prefix = _prefix_of(model, config) or "\0"
    marks = {part for key in [*given, *missing, *unexpected] for part in key.split(".") if part.startswith(prefix)}
    bad = {_module_of(key, marks) for key in [*missing, *unexpected]}
    modules = {_module_of(key, marks) for key in [*given, *missing]} | bad
    parts = [f"{len(modules) - len(bad)} of {len(modules)} modules were loaded"]
    if missing:
        parts.append(f"the adapter lacks {_listed(missing)}")
    if unexpected:
        parts.append(f"the model has no place for {_listed(unexpected)}")
    return "BS-1" if unexpected else "BS-12", "; ".join(parts)


def _listed(keys: list[str]) -> str:
    shown = ", ".join(f'"{key}"' for key in keys[:5])
    return shown + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
