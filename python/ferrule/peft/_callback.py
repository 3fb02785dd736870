# SPDX-License-Identifier: Apache-2.0
"""transformers' Trainer without waiting for its checkpoints' adapters."""

from __future__ import annotations

import functools
from typing import Any

import torch
from transformers import TrainerCallback

from .. import _pending
from . import _save
from . import _live_model as live


class AsyncSaveCallback(TrainerCallback):
    """Makes the Trainer's saves of a PEFT model asynchronous.

        Trainer(..., callbacks=[ferrule.peft.AsyncSaveCallback()])

    Between ``on_train_begin`` and ``on_train_end`` the model's ``save_pretrained`` returns once the adapters'
    tensors are copied. A save is waited for before the next one begins (so that the checkpoint rotation never
    meets one that is still being written), before the best model is loaded, before evaluation results of the
    last checkpoint are used, and at the end of training; its error is raised there. With ``push_to_hub`` saves
    stay synchronous: what is uploaded must be there.

    card: write a README.md; "plain" leaves the section about Ferrule out.
    """

    def __init__(self, *, card: _save.Card = True) -> None:
        self._card: _save.Card = card
        self._model: torch.nn.Module | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self._restore()
        if model is None or args.push_to_hub:
            return
        model = live.unwrap(model)
        live.configs_of(model)  # Reports a model without adapters.
        self._model = model

        @functools.wraps(model.save_pretrained)
        def save_pretrained(save_directory: str, *args: Any, **kwargs: Any) -> None:
            _save.save_pretrained(model, save_directory, *args, asynchronous=True, card=self._card, **kwargs)

        stock_push = model.push_to_hub

        @functools.wraps(stock_push)
        def push_to_hub(*args: Any, **kwargs: Any) -> Any:
            # It saves into a temporary folder and uploads that at once.
            vars(model).pop("save_pretrained", None)
            try:
                return stock_push(*args, **kwargs)
            finally:
                if self._model is model:
                    vars(model)["save_pretrained"] = save_pretrained

        vars(model)["save_pretrained"] = save_pretrained
        vars(model)["push_to_hub"] = push_to_hub

    def _restore(self) -> None:
        if self._model is not None:
            vars(self._model).pop("save_pretrained", None)
            vars(self._model).pop("push_to_hub", None)
            self._model = None

    def _drain_before_save(self, control: Any) -> None:
        if control.should_save:
            _pending.wait_for()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._drain_before_save(control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._drain_before_save(control)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # After the last save the Trainer looks for the best checkpoint's files, without another event.
        if control.should_training_stop or state.global_step >= state.max_steps:
            _pending.wait_for()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._restore()
        _pending.wait_for()
