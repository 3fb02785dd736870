# SPDX-License-Identifier: Apache-2.0
"""What a model of PEFT is made of: its base, its adapters' configs, its tuner layers."""

from __future__ import annotations

from typing import Any

import torch

_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """Takes off torch.compile and data parallel wrappers around the whole model."""
    while True:
        kind = type(model).__name__
        if kind == "OptimizedModule":
            model = model._orig_mod
        elif kind in ("DistributedDataParallel", "DataParallel", "FullyShardedDataParallel", "DeepSpeedEngine"):
            model = model.module
        else:
            return model


def without_wrappers(path: str) -> str:
    if "_orig_mod" not in path and "_wrapped_module" not in path:
        return path
    return ".".join(part for part in path.split(".") if part not in _WRAPPERS)


def is_peft_model(model: torch.nn.Module) -> bool:
    """PeftModel or PeftMixedModel, in distinction to a model with injected layers."""
    from peft import PeftMixedModel, PeftModel

    return isinstance(model, (PeftModel, PeftMixedModel))


def configs_of(model: torch.nn.Module) -> dict[str, Any]:
    """The config of each adapter. Raises TypeError if `model` has none."""
    configs = getattr(model, "peft_config", None) if isinstance(model, torch.nn.Module) else None
    if not isinstance(configs, dict) or not configs:
        raise TypeError(f"model must be a PeftModel, a PeftMixedModel or a model with injected adapters, "
                        f"not {type(model).__name__}")
    return configs


def type_of(config: Any) -> str:
    kind = config.peft_type
    return str(getattr(kind, "value", kind))


def base_of(model: torch.nn.Module) -> torch.nn.Module:
    """The model that was adapted, as PEFT looks for its name and its class."""
    if not is_peft_model(model):
        return model
    tuner = model.base_model
    if any(config.is_prompt_learning for config in model.peft_config.values()):
        return tuner
    return tuner.model


class Structure:
    """Where PEFT's own modules are in a model.

    For each class of module that holds adapters: the children that lead back into the base.
    """

    def __init__(self) -> None:
        from peft import PeftMixedModel, PeftModel
        from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
        from peft.utils import other

        wrapper = getattr(other, "AuxiliaryTrainingWrapper", other.ModulesToSaveWrapper)
        self._kinds: list[tuple[type, tuple[str, ...]]] = [
            (BaseTunerLayer, ("base_layer",)),
            (wrapper, ("original_module",)),
            (BaseTuner, ("model", "lora_model")),
        ]
        self._tuner_layer = BaseTunerLayer
        self.models = (PeftModel, PeftMixedModel)
        # isinstance() of PEFT's abstract classes is slow, and a model has few classes.
        self._known: dict[type, tuple[str, ...] | None] = {}
        self._layers: dict[type, bool] = {}
        self._own_rules: dict[type, bool] = {}

    def base_children(self, module: torch.nn.Module) -> tuple[str, ...] | None:
        """None for a module of the base model without tensors of an adapter."""
        kind = type(module)
        try:
            return self._known[kind]
        except KeyError:
            pass
        children = next((names for base, names in self._kinds if issubclass(kind, base)), None)
        if children is None and "adaption_prompt" in module._parameters:
            children = ("model",)
        self._known[kind] = children
        return children


    def is_layer(self, module: torch.nn.Module) -> bool:
        kind = type(module)
        known = self._layers.get(kind)
        if known is None:
            known = self._layers[kind] = (issubclass(kind, self._tuner_layer)
                                          or "adaption_prompt" in module._parameters)
        return known

    def has_own_rules(self, module: torch.nn.Module) -> bool:
        """Whether its state dict is more, or something else, than its parameters and buffers."""
        kind = type(module)
        known = self._own_rules.get(kind)
        if known is None:
            known = self._own_rules[kind] = (
                kind._save_to_state_dict is not torch.nn.Module._save_to_state_dict
                or kind.state_dict is not torch.nn.Module.state_dict
            )
        return known or bool(module._state_dict_hooks) or bool(module._state_dict_pre_hooks)


def own_state(module: torch.nn.Module, prefix: str, into: dict[str, Any]) -> None:
    """Adds parameters and persistent buffers of that very module, as state_dict() names them."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            into[prefix + name] = parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            into[prefix + name] = buffer


def has_own_state_dict(model: torch.nn.Module) -> bool:
    """Whether the model has its own state_dict(): then that is what gets saved."""
    return "state_dict" in vars(model) or type(model).state_dict is not torch.nn.Module.state_dict
