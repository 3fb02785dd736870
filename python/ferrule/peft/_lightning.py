# SPDX-License-Identifier: Apache-2.0
"""Lightning's checkpoints with the adapters beside them."""

from __future__ import annotations

import os
from typing import Any, Literal

import torch

try:
    from lightning.pytorch import Callback
except ImportError:  # The older package.
    from pytorch_lightning import Callback

from .. import _pending
from .._errors import InvalidArgumentError
from . import _live_model as live
from . import _save


class LightningSaveCallback(Callback):
    """Saves the adapters of a LightningModule's PEFT model at every checkpoint and at the end of the training.

        Trainer(callbacks=[ferrule.peft.LightningSaveCallback("adapters")])

    directory: where the adapters go; each checkpoint replaces them.
    attribute: where in the LightningModule the PEFT model is ("model"); None looks for it.
    only_adapters: leave the tensors of the base model out of Lightning's own checkpoint, which then has those of the
        adapters and everything else that can be trained.
    asynchronous: write in the background; the end of the training waits.
    card: write a README.md; "plain" leaves the section about Ferrule out.
    """

    def __init__(self, directory: str | os.PathLike[str], *, attribute: str | None = None, only_adapters: bool = False,
                 asynchronous: bool = True, durability: Literal["fast", "safe", "full"] = "safe",
                 card: _save.Card = True) -> None:
        super().__init__()
        self.directory = os.fspath(directory)
        self.attribute = attribute
        self.only_adapters = only_adapters
        self.asynchronous = asynchronous
        self.durability: Literal["fast", "safe", "full"] = durability
        self.card: _save.Card = card

    def _model(self, module: torch.nn.Module) -> torch.nn.Module:
        if self.attribute is not None:
            return module.get_submodule(self.attribute)
        for child in module.modules():
            if child is not module and getattr(child, "peft_config", None):
                return child
        raise InvalidArgumentError("the LightningModule has no PEFT model: give attribute")

    def _save(self, trainer: Any, module: torch.nn.Module) -> None:
        model = live.unwrap(self._model(module))
        _pending.wait_for(self.directory)
        _save.save_pretrained(model, self.directory, is_main_process=trainer.is_global_zero,
                              asynchronous=self.asynchronous, durability=self.durability, card=self.card)

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        self._save(trainer, pl_module)
        if self.only_adapters:
            trained = {name for name, parameter in pl_module.named_parameters() if parameter.requires_grad}
            state = checkpoint["state_dict"]
            checkpoint["state_dict"] = {name: tensor for name, tensor in state.items() if name in trained}

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self._save(trainer, pl_module)
        _pending.wait_for(self.directory)
