# SPDX-License-Identifier: Apache-2.0
"""What the native selection has to know of a live model (docs/model-facts.md)."""

from __future__ import annotations

import json
from typing import Any

import torch

from . import _live_model as live
from ._collect import Collected


#: Types whose layers keep the factor on their update in `scaling`.
_WITH_SCALING = frozenset({"ADALORA", "LOHA", "LOKR", "LORA", "RANDLORA"})


def embedding_modules(model: torch.nn.Module) -> tuple[torch.nn.Module | None, torch.nn.Module | None]:
    """get_input_embeddings() and get_output_embeddings(), if the model has them."""
    found = []
    for name in ("get_input_embeddings", "get_output_embeddings"):
        try:
            module = getattr(model, name)()
        except (AttributeError, NotImplementedError, TypeError):
            module = None
        found.append(module if isinstance(module, torch.nn.Module) else None)
    return found[0], found[1]


def base_path(path: str) -> str:
    path = live.without_wrappers(path)
    for prefix in ("base_model.lora_model.model.", "base_model.model.", "base_model."):
        if path.startswith(prefix):
            return path[len(prefix):]
    return path


def _is_transformers(base: torch.nn.Module) -> bool:
    from transformers import PreTrainedModel

    return isinstance(base, PreTrainedModel)


def of_model(model: torch.nn.Module, found: Collected, configs: dict[str, Any]) -> str:
    """The facts as JSON text."""
    import peft

    base = live.base_of(model)
    config = getattr(base, "config", None)
    name = getattr(config, "_name_or_path", None)
    facts: dict[str, Any] = {
        "class": type(base).__name__,
        "module": type(base).__module__,
        "name_or_path": base.__dict__.get("name_or_path"),
        "model_tags": [str(tag) for tag in getattr(base, "model_tags", None) or []],
        "is_transformers": _is_transformers(base),
        "peft_version": peft.__version__,
        "tuner_layers": [base_path(path) for path in found.tuner_layers],
        "scalings": {name: {base_path(path): value for path, value in layers.items()}
                     for name, layers in found.scalings.items()
                     if name in configs and live.type_of(configs[name]) in _WITH_SCALING},
        "config": {"_name_or_path": name} if isinstance(name, str) else {},
    }
    modules = {base_path(path): kind for path, kind in found.embedding_like.items()}
    inner = base._modules.get("model")
    if inner is not None:
        modules["model"] = type(inner).__name__
    facts["modules"] = modules
    for key, module in zip(("input_embeddings", "output_embeddings"), embedding_modules(model)):
        path = found.paths.get(id(module)) if module is not None else None
        facts[key] = base_path(path) if path is not None else None
    return json.dumps(facts, default=str)


def config_text(config: Any) -> str:
    """A config as PEFT writes it, except that sets are sorted (PEFT's order is that of the hash seed) and that keys are
    not: the order of rank_pattern and alpha_pattern is what the layers were made with."""
    fields = {key: sorted(value, key=str) if isinstance(value, set) else value
              for key, value in config.to_dict().items()}
    return json.dumps(fields, indent=2)
