# SPDX-License-Identifier: Apache-2.0
"""``save_embedding_layers``: PEFT's rule, without asking the network."""

from __future__ import annotations

import functools
import os
import re
import warnings
from typing import Any, Iterable

import torch

#: What PEFT takes for an embedding, by the last part of its path.
NAMES = ("embed_tokens", "lm_head")


def _is_targeted(config: Any, embedding_paths: Iterable[str]) -> bool:
    targets = getattr(config, "target_modules", None)
    if isinstance(targets, str):
        return targets != "all-linear" and any(re.fullmatch(targets, path) for path in embedding_paths)
    return bool(targets) and any(name in targets for name in NAMES)


def _config_folder(name: str) -> str | None:
    """The path of the base model's config.json on this machine, or None."""
    if os.path.exists(os.path.join(name, "config.json")):
        return name
    import huggingface_hub

    # Offline, PEFT does not look into the cache and takes the vocabulary for unchanged.
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return None
    try:
        cached = huggingface_hub.try_to_load_from_cache(name, "config.json")
    except Exception:  # The name is not a repository.
        return None
    return os.path.dirname(cached) if isinstance(cached, str) else None


def _is_resized(model: torch.nn.Module, name: str | None) -> bool:
    live = getattr(model, "config", None)
    size = getattr(live, "vocab_size", None)
    if not name:
        return False
    folder = _config_folder(name)
    if folder is None:
        warnings.warn(f"Could not find a config file in {name} - will assume that the vocabulary was not modified.",
                      stacklevel=5)
        return False
    stamp = os.stat(os.path.join(folder, "config.json")).st_mtime_ns
    return bool(size) and size != _vocabulary_of(type(live), folder, stamp)


@functools.lru_cache(maxsize=16)
def _vocabulary_of(kind: type, folder: str, stamp: int) -> int | None:
    """`stamp` makes a changed file another question."""
    return kind.from_pretrained(folder, local_files_only=True).vocab_size


def decide(model: torch.nn.Module, config: Any, wish: bool | str, embedding_paths: Iterable[str]) -> bool:
    """Whether embeddings are saved with the adapter of that config; warns as PEFT does.

    embedding_paths: the base model's modules that are called as in NAMES.
    """
    if wish == "auto":
        tokens = str(getattr(config.peft_type, "value", config.peft_type)) == "TRAINABLE_TOKENS"
        tokens = tokens or getattr(config, "trainable_token_indices", None) is not None
        if _is_targeted(config, embedding_paths) and not tokens:
            warnings.warn("Setting `save_embedding_layers` to `True` as embedding layers found in `target_modules`.",
                          stacklevel=4)
            wish = True
        elif _is_resized(model, getattr(config, "base_model_name_or_path", None)):
            warnings.warn("Setting `save_embedding_layers` to `True` as the embedding layer has been resized during "
                          "finetuning.", stacklevel=4)
            wish = True
        else:
            wish = False
    if wish and not hasattr(model, "get_input_embeddings"):
        warnings.warn("Could not identify embedding layer(s) because the model is not a 🤗 transformers model.",
                      stacklevel=4)
        return False
    return bool(wish)
