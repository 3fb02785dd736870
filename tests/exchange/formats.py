# SPDX-License-Identifier: Apache-2.0
"""Readers of adapters in NumPy, written from what the programs do with the files, and a writer of PEFT folders.

Each reader gives {path of a module: update of its weight [out, in]}; experts are modules of their own. They share no
code with Ferrule, and are compared with the programs themselves in the long tests.
"""

import json
import re
import struct

import numpy as np

CODES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}


def widen(dtype, raw):
    if dtype == "BF16":
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view("<f4").astype(np.float64)
    return np.frombuffer(raw, CODES[dtype]).astype(np.float64)


def narrow(dtype, values):
    values = np.asarray(values, "<f4")
    if dtype == "BF16":
        bits = values.view("<u4").astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    return values.astype(CODES[dtype]).tobytes()


def read_safetensors(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], widen(entry["dtype"], raw[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
                   .reshape(entry["shape"])) for name, entry in header.items()}


def write_safetensors(path, tensors, dtype="F32"):
    header, data = {}, b""
    for name, values in tensors.items():
        raw = narrow(dtype, values)
        header[name] = {"dtype": dtype, "shape": list(np.shape(values)), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_peft(folder, tensors, dtype="F32", **config):
    folder.mkdir(parents=True)
    fields = {"peft_type": "LORA", "r": 4, "lora_alpha": 12, "target_modules": sorted({name.split(".lora_")[0].rsplit(".", 1)[-1] for name in tensors})}
    (folder / "adapter_config.json").write_text(json.dumps({**fields, **config}))
    write_safetensors(folder / "adapter_model.safetensors", {f"base_model.model.{name}": value for name, value in tensors.items()}, dtype)


def look_up(table, path, default):
    """PEFT's get_pattern_key: the first expression that matches the end of the path."""
    for pattern, value in (table or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", path):
            return value
    return default


def strength(config, path, rank):
    alpha = look_up(config.get("alpha_pattern"), path, config.get("lora_alpha", 8))
    return alpha / (np.sqrt(rank) if config.get("use_rslora") else rank)


def plain(path):
    """One spelling of experts."""
    names = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    path = re.sub(r"\.(w[123])$", lambda m: "." + names[m[1]], path) if ".experts." in path else path
    return path.replace("block_sparse_moe", "mlp")


def read_peft(folder, experts=0):
    config = json.loads((folder / "adapter_config.json").read_text())
    pairs, rest = {}, {}
    for name, (_, values) in read_safetensors(folder / "adapter_model.safetensors").items():
        name = name.removeprefix("base_model.model.")
        found = re.match(r"(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?$", name)
        if found:
            pairs.setdefault(found[1], {})[found[2]] = values
            pairs[found[1]]["embedding"] = "lora_embedding" in name
        else:
            rest[name] = values
    updates = {}
    for path, pair in pairs.items():
        a, b = pair["A"], pair["B"]
        owner = path.removesuffix(".base_layer")
        if owner.endswith(".experts"):
            both = any(entry.endswith("gate_up_proj") for entry in config["target_parameters"])
            inner = path.endswith(".base_layer") or (both and not any(entry.endswith("down_proj") for entry in config["target_parameters"]))
            rank = a.shape[0] // experts
            factor = strength(config, owner + (".gate_up_proj" if inner else ".down_proj"), rank)
            for i in range(experts):
                update = factor * b.reshape(b.shape[0], rank, experts)[:, :, i] @ a.reshape(experts, rank, -1)[i]
                if inner:
                    half = len(update) // 2
                    updates[plain(f"{owner}.{i}.gate_proj")], updates[plain(f"{owner}.{i}.up_proj")] = update[:half], update[half:]
                else:
                    updates[plain(f"{owner}.{i}.down_proj")] = update
            continue
        rank = a.shape[0]
        assert look_up(config.get("rank_pattern"), path, config["r"]) == rank, f"PEFT would not make {path} with rank {rank}"
        update = strength(config, path, rank) * b @ a
        updates[plain(path)] = update.T if pair["embedding"] else update
    return updates, rest


def read_mlx(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    parameters, pairs, rest = config["lora_parameters"], {}, {}
    for name, (_, values) in read_safetensors(folder / "adapters.safetensors").items():
        path, leaf = name.rsplit(".", 1)
        assert leaf in ("lora_a", "lora_b", "m"), f"mlx-lm refuses {name}"
        if leaf == "m":
            rest[path] = values
        else:
            pairs.setdefault(path, {})[leaf] = values
            assert path in parameters["keys"]
    updates = {}
    for path, pair in pairs.items():
        a, b = pair["lora_a"], pair["lora_b"]
        if a.ndim == 3:
            assert a.shape[1] == parameters["rank"]
            for i in range(len(a)):
                updates[plain(path.replace("switch_mlp", f"experts.{i}"))] = parameters["scale"] * b[i] @ a[i]
            continue
        assert a.shape[1] == parameters["rank"], f"mlx-lm refuses the rank of {path}"
        update = parameters["scale"] * a @ b
        updates[plain(path)] = update if "embed" in path else update.T
    return updates, rest


def read_gguf(path):
    """-> tensors {name: (type, values in NumPy's order)}, keys."""
    raw, at = path.read_bytes(), 4
    assert raw[:4] == b"GGUF"

    def take(form):
        nonlocal at
        value = struct.unpack_from("<" + form, raw, at)
        at += struct.calcsize("<" + form)
        return value[0] if len(value) == 1 else value

    def text():
        nonlocal at
        size = take("Q")
        at += size
        return raw[at - size:at].decode()

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, count = take("IQ")
            return [value(inner) for _ in range(count)]
        return take({4: "I", 5: "i", 6: "f", 10: "Q"}[kind])

    version, tensors, keys = take("IQQ")
    assert version == 3
    table, rows = {}, []
    for _ in range(keys):
        name = text()
        table[name] = value(take("I"))
    for _ in range(tensors):
        name = text()
        extents = [take("Q") for _ in range(take("I"))]
        rows.append((name, extents[::-1], *take("IQ")))
    start, out = (at + 31) // 32 * 32, {}
    for name, shape, kind, offset in rows:
        count = int(np.prod(shape))
        size = {0: 4 * count, 1: 2 * count, 8: count // 32 * 34, 30: 2 * count}[kind]
        part = raw[start + offset:start + offset + size]
        if kind == 8:
            blocks = np.frombuffer(part, np.uint8).reshape(-1, 34)
            values = blocks[:, 2:].copy().view(np.int8) * blocks[:, :2].copy().view("<f2").astype(np.float64)
        else:
            values = widen({0: "F32", 1: "F16", 30: "BF16"}[kind], part)
        out[name] = (kind, values.reshape(shape))
    return out, table


def gguf_updates(path, names):
    """`names`: what each tensor adapts: a path, or a list of paths of experts."""
    tensors, keys = read_gguf(path)
    assert keys["general.type"] == "adapter" and keys["adapter.type"] == "lora"
    updates = {}
    for name in tensors:
        if not name.endswith(".lora_a"):
            continue
        weight = name.removesuffix(".lora_a")
        a, b = tensors[name][1], tensors[weight + ".lora_b"][1]
        rank = b.shape[-1]
        factor = keys["adapter.lora.alpha"] / rank if keys["adapter.lora.alpha"] else 1.0
        target = names[weight.removesuffix(".weight")]
        if isinstance(target, list):
            for i, expert in enumerate(target):
                updates[expert] = factor * b[i] @ a[i]
        elif weight == "token_embd.weight":
            updates[target] = factor * a @ b.T
        else:
            updates[target] = factor * b @ a
    return updates, keys


def permuted_rows(update, heads):
    """llama.cpp's order of the rows of q and k, which it makes of Hugging Face's."""
    size = len(update) // heads
    return update.reshape(heads, 2, size // 2, -1).swapaxes(1, 2).reshape(update.shape)


def distance(got, want):
    assert got.keys() == want.keys(), sorted(got.keys() ^ want.keys())[:4]
    worst = 0.0
    for path in want:
        assert got[path].shape == want[path].shape, path
        norm = np.linalg.norm(want[path])
        worst = max(worst, np.linalg.norm(got[path] - want[path]) / (norm or 1.0))
    return worst
