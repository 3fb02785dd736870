# SPDX-License-Identifier: Apache-2.0
"""``patch``: makes PEFT, and everything that saves and loads through it, use Ferrule."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import threading
import warnings
from typing import Any, Callable

import ferrule
import ferrule.torch
import peft
import peft.config
import peft.peft_model
import peft.utils.save_and_load

from .. import _pending
from .._errors import CorruptError
from . import _load, _native, _push, _save

_lock = threading.RLock()
#: (owner, attribute, the value that was there, our value), in the order in which they were replaced.
_replaced: list[tuple[Any, str, Any, Any]] = []
_level = 0  # 0 nothing, 1 the leaf functions, 2 natively
_waits = False
#: The value was inherited.
_INHERITED = object()


def _put(owner: Any, name: str, value: Any) -> None:
    _replaced.append((owner, name, vars(owner).get(name, _INHERITED), value))
    setattr(owner, name, value)


def _everywhere(stock: Any, name: str, value: Any) -> None:
    """Replaces a function in every module of PEFT that holds it under its name."""
    for module in list(sys.modules.values()):
        if (getattr(module, "__name__", None) or "").split(".")[0] == "peft" and vars(module).get(name) is stock:
            _put(module, name, value)


def _save_file(tensors: dict[str, Any], filename: Any, metadata: dict[str, str] | None = None) -> None:
    from ..torch import save_file

    _pending.wait_for(os.path.dirname(os.path.abspath(filename)))
    save_file(tensors, filename, metadata=metadata)


def _load_file(filename: Any, device: Any = "cpu") -> dict[str, Any]:
    from ..torch import load_file

    _pending.wait_for(filename)
    return load_file(filename, device=device)


def _native_save() -> Callable[..., None]:
    stock = _native.stock_save

    @functools.wraps(stock)
    def save_pretrained(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return _save.save_pretrained(self, *args, **kwargs)
        except CorruptError as error:
            if not error.rule.startswith(("AD-", "KY-")) or kwargs.get("asynchronous"):
                raise
            # PEFT's contract: a tensor that looks wrong gives a warning and does not stop the save.
            warnings.warn(f"saved by PEFT, although Ferrule refuses this adapter: {error}", stacklevel=2)
            return stock(self, *args, **kwargs)

    return save_pretrained


def _waiting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a method of PEFT so that it first waits for saves into the path that is its first argument."""

    @functools.wraps(function)
    def waiting(self: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, (str, os.PathLike)):
            _pending.wait_for(path)
        return function(self, path, *args, **kwargs)

    # The argument can be given by name.
    @functools.wraps(function)
    def by_name(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args:
            return waiting(self, *args, **kwargs)
        for name in ("model_id", "pretrained_model_name_or_path"):
            if isinstance(kwargs.get(name), (str, os.PathLike)):
                _pending.wait_for(kwargs[name])
        return function(self, **kwargs)

    return by_name


def _waiting_function(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        for value in (*args[:1], *kwargs.values()):
            if isinstance(value, (str, os.PathLike)):
                _pending.wait_for(value)
        return function(*args, **kwargs)

    return waiting


def _put_waits() -> None:
    """Makes code wait that reads, deletes or uploads what is still being written."""
    for module, name in ((ferrule.torch, "load_file"), (ferrule.torch, "load_model")):
        _put(module, name, _waiting_function(vars(module)[name]))
    for name in ("from_pretrained", "_get_peft_type"):
        stock = vars(peft.config.PeftConfigMixin)[name]
        _put(peft.config.PeftConfigMixin, name, classmethod(_waiting(stock.__func__)))
    for kind in (peft.PeftModel, peft.PeftMixedModel):
        _put(kind, "load_adapter", _waiting(vars(kind)["load_adapter"]))

    stock_rmtree = shutil.rmtree

    @functools.wraps(stock_rmtree)
    def rmtree(path: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, (str, os.PathLike)):
            _pending.finish(path)
        return stock_rmtree(path, *args, **kwargs)

    _put(shutil, "rmtree", rmtree)
    from huggingface_hub import HfApi

    upload = vars(HfApi).get("_prepare_upload_folder_additions")
    if upload is not None:  # Every upload of a folder calls it.
        _put(HfApi, "_prepare_upload_folder_additions", _waiting(upload))


def _apply(level: int, waits: bool) -> None:
    """Replaces what that state asks for, starting from PEFT's own functions."""
    global _level, _waits
    while _replaced:
        owner, name, before, ours = _replaced.pop()
        # Other code replaced ours since then: leave that alone.
        if vars(owner).get(name) is not ours:
            continue
        if before is _INHERITED:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
    _level, _waits = level, waits
    if level >= 1:
        _put(peft.peft_model, "safe_save_file", _save_file)
        _put(peft.utils.save_and_load, "safe_load_file", _load_file)
    if level >= 2:
        _put(peft.PeftModel, "save_pretrained", _native_save())
        _put(peft.PeftModel, "push_to_hub", _push.native_push())
    if level >= 2 or waits:
        reader = _load.load_peft_weights if level >= 2 else _load.waiting_peft_weights
        _everywhere(_load.stock_load, "load_peft_weights", reader)
        _put_waits()


def patch(native: bool = False) -> None:
    """Makes PEFT save and load through Ferrule until :func:`unpatch`.

    By default the two functions that read and write safetensors files are replaced; selection, config and card
    stay PEFT's. With ``native`` so are ``PeftModel.save_pretrained``, ``PeftModel.push_to_hub`` and
    ``load_peft_weights``, and with them the reading side of everything that ends there:
    ``PeftModel.from_pretrained``, ``load_adapter``, Trainer, TRL, transformers. Calling it again changes the level;
    calling it twice has no further effect.
    """
    with _lock:
        _apply(2 if native else 1, _waits)


def unpatch() -> None:
    """Gives PEFT its own functions back. Waits for pending saves first: nothing would wait for them afterwards."""
    _pending.finish()
    with _lock:
        _apply(0, False)


def _wait_from_now_on() -> None:
    """Makes readers of the path of an asynchronous save wait for it."""
    if not _waits:
        with _lock:
            _apply(_level, True)


_pending.before_submit(_wait_from_now_on)
