#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a 7B-shaped adapter against a sharded base's headers, beside what a user has today: see README.md.

    python check_bench.py BUILD/benchmarks/check_bench [--rounds N] [--adapters N] [--folder DIR]

Run it with a Python that has safetensors, torch, transformers and peft. The files are sparse: headers of the real sizes,
no weights.
"""
import json
import os
import pathlib
import re
import struct
import tempfile
import time

import peft
import side_by_side
import torch
import transformers
from safetensors import safe_open
from side_by_side import Half, Table

LAYERS, HIDDEN, FEED, VOCAB, RANK = 32, 4096, 11008, 32000, 16
CONFIG = dict(hidden_size=HIDDEN, intermediate_size=FEED, num_hidden_layers=LAYERS, num_attention_heads=32, vocab_size=VOCAB)
PROJECTIONS = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN), "self_attn.v_proj": (HIDDEN, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (FEED, HIDDEN), "mlp.up_proj": (FEED, HIDDEN), "mlp.down_proj": (HIDDEN, FEED)}


def write_sparse(path, shapes):
    header, at = {}, 0
    for name, shape in sorted(shapes.items()):
        size = 2
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def make_base(folder):
    folder.mkdir()
    shapes = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}
    for layer in range(LAYERS):
        for name, shape in PROJECTIONS.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{norm}.weight"] = (HIDDEN,)
    names, shards = sorted(shapes), 4
    weight_map = {}
    for i in range(shards):
        part = {name: shapes[name] for name in names[i::shards]}
        file = f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
        write_sparse(folder / file, part)
        weight_map.update(dict.fromkeys(part, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    config = transformers.LlamaConfig(**CONFIG, tie_word_embeddings=False)
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(folder)


def make_adapter(folder, projections, rank=RANK):
    folder.mkdir(parents=True)
    shapes = {}
    for layer in range(LAYERS):
        for name in projections:
            out, into = PROJECTIONS[name]
            stem = f"base_model.model.model.layers.{layer}.{name}"
            shapes[f"{stem}.lora_A.weight"] = (rank, into)
            shapes[f"{stem}.lora_B.weight"] = (out, rank)
    write_sparse(folder / "adapter_model.safetensors", shapes)
    config = peft.LoraConfig(r=rank, target_modules=[name.rsplit(".", 1)[1] for name in projections], task_type="CAUSAL_LM")
    config.save_pretrained(folder)


def make_many(folder, count):
    make_adapter(folder / "00000", ["self_attn.q_proj", "self_attn.v_proj"])
    for i in range(1, count):
        (folder / f"{i:05d}").mkdir()
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            os.link(folder / "00000" / name, folder / f"{i:05d}" / name)


def shapes_of(paths):
    shapes = {}
    for path in paths:
        with safe_open(path, "pt") as file:
            for name in file.keys():
                shapes[name] = file.get_slice(name).get_shape()
    return shapes


def count_fits(base, adapter):
    found = 0
    for name, a in adapter.items():
        match = re.fullmatch(r"base_model\.model\.(.*)\.lora_A\.weight", name)
        if not match:
            continue
        weight, b = base.get(match[1] + ".weight"), adapter.get(name.replace("lora_A", "lora_B"))
        found += weight is not None and b is not None and a[1] == weight[1] and b[0] == weight[0] and a[0] == b[1]
    return found


def peer_script(base, adapter):
    """What people write: names and shapes by the safetensors package, nothing else compared."""
    start = time.perf_counter_ns()
    files = sorted(set(json.loads((base / "model.safetensors.index.json").read_text())["weight_map"].values()))
    found = count_fits(shapes_of(base / file for file in files), shapes_of([adapter / "adapter_model.safetensors"]))
    return time.perf_counter_ns() - start, found


def peer_many(base, folder):
    start = time.perf_counter_ns()
    files = sorted(set(json.loads((base / "model.safetensors.index.json").read_text())["weight_map"].values()))
    shapes = shapes_of(base / file for file in files)
    found = sum(count_fits(shapes, shapes_of([adapter / "adapter_model.safetensors"])) for adapter in sorted(folder.iterdir()))
    return time.perf_counter_ns() - start, found


def peer_peft(base, adapter):
    """PEFT itself, on a model without memory: layers are made, tensors are read and assigned."""
    start = time.perf_counter_ns()
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig.from_pretrained(base))
    loaded = peft.PeftModel.from_pretrained(model, adapter, low_cpu_mem_usage=True)
    found = sum(name.endswith(".lora_A") for name, _ in loaded.named_modules())
    return time.perf_counter_ns() - start, found


def main():
    parser = side_by_side.arguments(__doc__, 9, "executable")
    parser.add_argument("--adapters", type=int, default=10_000)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    table = Table(options, torch=torch.__version__, peft=peft.__version__)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        work = pathlib.Path(temporary)
        base, adapter, many = work / "base", work / "adapter", work / "many"
        make_base(base)
        make_adapter(adapter, list(PROJECTIONS))
        make_many(many, options.adapters)
        half = Half(options.executable)
        for title, rounds, ours, peer in (
            ("7B adapter, all projections, against a script", options.rounds, ("one", base, adapter), peer_script),
            ("7B adapter, all projections, against PEFT on meta", max(2, options.rounds // 4), ("one", base, adapter), peer_peft),
            (f"{options.adapters} adapters, one base, against a script", 1, ("many", base, many), peer_many),
        ):
            table.row(title, None, lambda ours=ours: half(*ours), lambda ours=ours, peer=peer: peer(*ours[1:]), rounds, warm=1,
                      same=lambda found, wanted: found == wanted != 0)
    table.write()


if __name__ == "__main__":
    main()
