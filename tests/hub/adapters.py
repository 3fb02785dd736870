# SPDX-License-Identifier: Apache-2.0
"""Adapters to push: what PEFT writes for a small LoRA, with weights of our own."""
import json
import pathlib

import numpy
from safetensors.numpy import save_file

CONFIG = {
    "alpha_pattern": {}, "auto_mapping": None, "base_model_name_or_path": "acme/base", "bias": "none", "fan_in_fan_out": False,
    "inference_mode": True, "init_lora_weights": True, "layers_pattern": None, "layers_to_transform": None, "lora_alpha": 16,
    "lora_dropout": 0.0, "modules_to_save": None, "peft_type": "LORA", "r": 8, "rank_pattern": {}, "revision": None,
    "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", "use_dora": False, "use_rslora": False,
}
CARD = """---
base_model: acme/base
library_name: peft
pipeline_tag: text-generation
tags:
- base_model:adapter:acme/base
- lora
- transformers
---

# {title}

An adapter for tests.
"""


def make_adapter(folder, *, seed=1, layers=2, hidden=64, rank=8, card=True, title="Adapter", **config):
    """A three-file adapter of layers x 2 x 2 x rank x hidden x 4 bytes (16 kB as it stands)."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for name in ("q_proj", "v_proj"):
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{key}.lora_A.weight"] = random.standard_normal((rank, hidden), dtype=numpy.float32)
            tensors[f"{key}.lora_B.weight"] = random.standard_normal((hidden, rank), dtype=numpy.float32)
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    document = {**CONFIG, "r": rank, **config}
    (folder / "adapter_config.json").write_text(json.dumps(document, indent=2, sort_keys=True))
    if card:
        (folder / "README.md").write_text(CARD.format(title=title))
    return folder


def content(folder):
    """{path: bytes} of a folder, links followed, without what a download puts beside the files."""
    folder = pathlib.Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".cache" not in path.relative_to(folder).parts
    }
