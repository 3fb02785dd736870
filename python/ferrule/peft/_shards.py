# SPDX-License-Identifier: Apache-2.0
"""Tensors of which this process holds a part only: they are refused by name."""

from __future__ import annotations

from typing import Any, Mapping

from .._errors import UnsupportedError

_ZERO3 = ("gather it first: with deepspeed.zero.GatheredParameters([p for p in model.parameters() if p.requires_grad], "
          "modifier_rank=None): save_pretrained(...)")
_FSDP = ("gather it first: pass state_dict=, taken inside FullyShardedDataParallel.summon_full_params(model) or with "
         "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, options=StateDictOptions("
         "full_state_dict=True))")


def _why(tensor: Any, may_be_empty: bool) -> tuple[str, str] | None:
    kind = type(tensor).__name__
    if kind in ("ShardedTensor", "FlatParameter"):
        return f"is a {kind}, one rank's part of an FSDP model", _FSDP
    whole = getattr(tensor, "ds_shape", None)
    if whole is not None and tuple(whole) != tuple(tensor.shape):
        return f"is a shard of shape {tuple(tensor.shape)} of ZeRO-3; the whole has shape {tuple(whole)}", _ZERO3
    # What a sharded model leaves of a parameter is [0]; these keep their other dimension.
    if tensor.numel() == 0 and not (may_be_empty and tensor.dim() > 1):
        return (f"has shape {tuple(tensor.shape)}, which holds nothing: the parameters of a sharded model were not "
                f"gathered"), "wrap the save in deepspeed.zero.GatheredParameters, or pass state_dict= of the whole"
    return None


def refuse(tensors: Mapping[str, Any], may_be_empty: bool) -> None:
    """Raises UnsupportedError for the first tensor that is not all there.

    may_be_empty: AdaLoRA prunes modules to rank 0, and an OFT rotation of blocks of one element has no angles.
    """
    for key, tensor in tensors.items():
        why = _why(tensor, may_be_empty) if hasattr(tensor, "numel") else None
        if why is not None:
            raise UnsupportedError(f"tensor \"{key}\" {why[0]}; {why[1]}", "AD-3")
