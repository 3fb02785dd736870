# SPDX-License-Identifier: Apache-2.0
"""Which adapters are saved natively, and PEFT's own function for the rest."""

from __future__ import annotations

from typing import Any, Mapping

import peft
import torch

from .. import _ferrule
from . import _live_model as live

_KNOWN = frozenset(_ferrule.peft_types())

#: PEFT's own, patched or not.
stock_save = peft.PeftModel.save_pretrained


def _is_known(config: Any) -> bool:
    kind = live.type_of(config)
    if kind not in _KNOWN:
        return False
    # The OFT of PEFT 0.15 and older has other tensors.
    return kind != "OFT" or hasattr(config, "use_cayley_neumann")


def can_save(configs: Mapping[str, Any]) -> bool:
    """False if a method is not one of PEFT's."""
    return all(_is_known(config) for config in configs.values())


def peft_save(model: torch.nn.Module, directory: str, **arguments: Any) -> None:
    if not isinstance(model, peft.PeftModel):
        kinds = sorted({live.type_of(config) for config in model.peft_config.values()})
        raise NotImplementedError(f"adapters of type {', '.join(kinds)} can be saved from a PeftModel only")
    stock_save(model, directory, **arguments)
