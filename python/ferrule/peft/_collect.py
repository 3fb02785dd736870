# SPDX-License-Identifier: Apache-2.0
"""The adapters' tensors of a live model, without its base.

``model.state_dict()`` would gather the whole base model: slow, and for a sharded or offloaded base
often impossible. Here the modules are walked once and only what PEFT hung into them is taken.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

import torch

from . import _live_model as live
from ._embeddings import NAMES

_PROMPT_SAVED_BY_NAME = {"CARTRIDGE": "trainable_embedding"}
#: A second adapter of these shares the first one's projection: its size follows the base layers'.
_SHARED_PROJECTION = {"VERA", "PVERA", "RANDLORA"}


@dataclass
class Collected:
    """State-dict key -> tensor, and the tuner layers."""

    tensors: dict[str, Any] = field(default_factory=dict)
    #: The same, but not in the state dict: SHiRA keeps its indices in a plain dict.
    beside: dict[str, Any] = field(default_factory=dict)
    tuner_layers: list[str] = field(default_factory=list)
    #: Adapter's name -> path of a tuner layer -> the factor that it applies to that adapter's update now.
    scalings: dict[str, dict[str, float]] = field(default_factory=dict)
    #: Path of each module that was asked for.
    paths: dict[int, str] = field(default_factory=dict)
    #: Paths of base modules that are called as embeddings are, for patterns in target_modules.
    embedding_like: dict[str, str] = field(default_factory=dict)
    #: Whether adapters are spread over ranks by a plan of transformers'.
    tensor_parallel: bool = False


@dataclass(frozen=True)
class Wanted:
    """What of the base is saved with an adapter."""

    all_biases: bool = False
    layer_biases: bool = False
    layer_weights: bool = False
    modules: tuple[torch.nn.Module, ...] = ()


class _Walk:
    def __init__(self, structure: live.Structure, wanted: Wanted) -> None:
        self.structure = structure
        self.wanted = wanted
        self.found = Collected()
        self._sought = {id(module) for module in wanted.modules}

    def base(self, module: torch.nn.Module, prefix: str, in_tuner: bool = False) -> None:
        """`in_tuner`: the module is what a tuner layer wraps."""
        children = self.structure.base_children(module)
        if children is not None:
            return self.tuner(module, prefix, children)
        if id(module) in self._sought:
            self.found.paths[id(module)] = prefix[:-1]
            self.everything(module, prefix)
            return
        if self.wanted.all_biases or (in_tuner and self.wanted.layer_biases):
            bias = module._parameters.get("bias")
            if bias is not None:
                self.found.tensors[prefix + "bias"] = bias
        if in_tuner and self.wanted.layer_weights:
            weight = module._parameters.get("weight")
            if weight is not None and weight.device.type == "cpu":
                self.found.tensors[prefix + "weight"] = weight
        for name, child in module._modules.items():
            if child is not None:
                if name in NAMES:
                    self.found.embedding_like[prefix + name] = type(child).__name__
                self.base(child, f"{prefix}{name}.")

    def tuner(self, module: torch.nn.Module, prefix: str, base_children: tuple[str, ...]) -> None:
        if self.structure.is_layer(module):
            self.found.tuner_layers.append(prefix[:-1])
        self.scaling(module, prefix[:-1])
        if "_tp_info" in vars(module):
            self.found.tensor_parallel = True
        sought = id(module) in self._sought
        if sought:
            self.found.paths[id(module)] = prefix[:-1]
        token_adapter = module._modules.get("token_adapter")
        if getattr(token_adapter, "tied_adapter", None):
            # The other module of the pair holds these tokens; PEFT saves them once.
            if sought:
                self.everything(token_adapter.base_layer, f"{prefix}token_adapter.base_layer.")
            return
        live.own_state(module, prefix, self.found.tensors)
        for name, indices in vars(module).get("shira_indices", {}).items():
            self.found.beside[f"{prefix}shira_indices.{name}"] = indices
        for name, child in module._modules.items():
            if child is None:
                continue
            if name not in base_children or sought:
                self.everything(child, f"{prefix}{name}.")
            else:
                self.base(child, f"{prefix}{name}.", in_tuner=True)

    def scaling(self, module: torch.nn.Module, path: str) -> None:
        factors = vars(module).get("scaling")
        if not isinstance(factors, dict):
            return
        for name, factor in factors.items():
            # A model that is compiled for hotswapping keeps them in tensors.
            if isinstance(factor, (int, float)) or (isinstance(factor, torch.Tensor) and factor.numel() == 1):
                self.found.scalings.setdefault(name, {})[path] = float(factor)

    def everything(self, module: torch.nn.Module, prefix: str) -> None:
        if type(module).__name__ == "FullyShardedDataParallel":
            return self.flat(module, prefix)
        token_base = None
        if self.structure.is_layer(module):
            self.found.tuner_layers.append(prefix[:-1])
            if prefix.endswith(".token_adapter.") and not self._sought:
                token_base = "base_layer"
        if self.structure.has_own_rules(module):
            self.found.tensors.update(module.state_dict(prefix=prefix, keep_vars=True))
            return
        if module._parameters or module._buffers:
            live.own_state(module, prefix, self.found.tensors)
        for name, child in module._modules.items():
            if child is None:
                continue
            if name == token_base:
                self.base(child, f"{prefix}{name}.", in_tuner=True)
            else:
                self.everything(child, f"{prefix}{name}.")


    def flat(self, module: Any, prefix: str) -> None:
        """FSDP1 around a part of an adapter. Its state_dict() would gather, and wait for other ranks."""
        handle = getattr(module, "_handle", None)
        self.everything(module._fsdp_wrapped_module, prefix)
        self.found.tensors.pop(f"{prefix}_flat_param", None)
        for name in handle.flat_param._fqns if handle is not None else ():
            if prefix + name not in self.found.tensors or handle.is_sharded(handle.flat_param):
                self.found.tensors[prefix + name] = handle.flat_param


def wanted_of_base(configs: Mapping[str, Any], names: Iterable[str],
                   embeddings: tuple[torch.nn.Module, ...]) -> Wanted:
    biases = {getattr(configs[name], "bias", "none") for name in names}
    kinds = [live.type_of(config) for config in configs.values()]
    return Wanted(
        all_biases="all" in biases,
        layer_biases=any(isinstance(bias, str) and bias.endswith("_only") for bias in biases),
        layer_weights=any(kinds.count(kind) > 1 for kind in _SHARED_PROJECTION),
        modules=embeddings,
    )


def walk(model: torch.nn.Module, wanted: Wanted) -> Collected:
    structure = live.Structure()
    walker = _Walk(structure, wanted)
    if isinstance(model, structure.models):
        walker.base(model.base_model, "base_model.")
    else:
        walker.base(model, "")
    return walker.found


def from_state_dict(found: Collected, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors that `found` names, out of a state dict that the caller gathered."""
    plain = {live.without_wrappers(key): value for key, value in state_dict.items()}
    if plain and all(key.startswith("module.") for key in plain):
        plain = {key.removeprefix("module."): value for key, value in plain.items()}
    keys = (live.without_wrappers(key) for key in found.tensors)
    return {key: plain[key] for key in keys if key in plain}


def prompt_tensors(model: torch.nn.Module, name: str, config: Any) -> dict[str, Any]:
    """The prompt as the encoder computes it now, under the keys of the encoder's own tensors."""
    kind = live.type_of(config)
    encoder = model.prompt_encoder[name]
    prefix = f"prompt_encoder.{name}."
    leaf = _PROMPT_SAVED_BY_NAME.get(kind, "embedding.weight")
    if kind == "MULTITASK_PROMPT_TUNING":
        return {
            prefix + "embedding.weight": encoder.embedding.weight,
            prefix + "prefix_task_cols": encoder.prefix_task_cols,
            prefix + "prefix_task_rows": encoder.prefix_task_rows,
        }
    if config.inference_mode:
        return {prefix + leaf: encoder.embedding.weight}
    with torch.no_grad():
        return {prefix + leaf: model.get_prompt_embedding_to_save(name)}


def active_adaption_prompt(model: torch.nn.Module, name: str, config: Any) -> Any:
    """Swaps that adaption prompt into the model: only the active one's modules are there."""
    tuner = getattr(model, "base_model", None)
    if live.type_of(config) != "ADAPTION_PROMPT" or not hasattr(tuner, "_temporarily_active"):
        return contextlib.nullcontext()
    if tuner._active_adapter == name:
        return contextlib.nullcontext()
    return tuner._temporarily_active(name)


def take_top_k(tensors: dict[str, Any], name: str, config: Any) -> None:
    """VB-LoRA's save_only_topk_weights, computed on the logits' device as PEFT computes it."""
    if live.type_of(config) != "VBLORA" or not config.save_only_topk_weights:
        return
    bits = config.num_vectors
    indices_dtype = (torch.uint8 if bits < 2**8 else torch.int16 if bits < 2**15
                     else torch.int32 if bits < 2**31 else torch.int64)
    for key in [key for key in tensors if ".vblora_logits_" in key and key.endswith(f".{name}")]:
        path = key.removesuffix(f".{name}")
        logits, indices = tensors.pop(key).detach().topk(config.topk)
        tensors[f"{path}_topk_indices.{name}"] = indices.to(indices_dtype)
        tensors[f"{path}_topk_weights.{name}"] = torch.softmax(logits, dim=-1)[:, :, :-1].contiguous()
