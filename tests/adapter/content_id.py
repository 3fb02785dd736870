# SPDX-License-Identifier: Apache-2.0
"""Computes content ids from docs/content-id.md, and changes adapters in ways that must or must not change them.

usage: content_id.py FERRULE
"""
import copy
import dataclasses
import hashlib
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
import peft
import torch
from safetensors.torch import load_file, save_file

FERRULE = sys.argv[1]
GOLDEN = pathlib.Path(__file__).parent.parent / "golden/cases"
PROVENANCE = {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision"}
SETS = {"exclude_modules", "feedforward_modules", "layers_pattern", "layers_to_transform", "modules_to_save",
        "target_modules", "target_parameters"}
FAILURES, CHECKS = [], 0


def check(ok, what):
    global CHECKS
    CHECKS += 1
    if not ok:
        FAILURES.append(what)


# The definition, once more ---------------------------------------------------------------------


def read_safetensors(path):
    """[(key, dtype, shape, bytes)], by the format's own description."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return [(key, entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for key, entry in header.items()]


def whole_numbers(value):
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    return value


def plain(value):
    """A default of PEFT's as its config file would hold it."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, (set, tuple)):
        value = list(value)
    return value.value if hasattr(value, "value") else value


NESTED = {}
for class_name in ("ArrowConfig", "CordaConfig", "EvaConfig", "LoraGAConfig", "BdLoraConfig", "KasaConfig", "VeloraConfig",
                   "MontecloraConfig"):
    from peft.tuners.lora import config as lora_config
    found = getattr(lora_config, class_name, None) or next(
        value for name, value in vars(lora_config).items() if name.lower() == class_name.lower())
    field = {"BdLoraConfig": "use_bdlora", "LoraGAConfig": "lora_ga_config"}.get(class_name, class_name[:-6].lower() + "_config")
    NESTED[field] = {f.name: plain(f.default if f.default is not dataclasses.MISSING else f.default_factory())
                     for f in dataclasses.fields(found)}


def one_form(name, value, is_bool):
    if value is None and is_bool:
        return False
    value = whole_numbers(value)
    if name in SETS and isinstance(value, list):
        value = sorted(set(value))
    if name in NESTED and isinstance(value, dict):
        return {key: item for key, item in value.items() if key not in NESTED[name] or whole_numbers(NESTED[name][key]) != item}
    return None if value == {} else value


def meaning(config, modules):
    cls = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(config["peft_type"])]
    built = cls(**{key: copy.deepcopy(value) for key, value in config.items() if key in {f.name for f in dataclasses.fields(cls)}})
    out = {}
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in set(config) | set(fields):
        if name in PROVENANCE:
            continue
        value = plain(getattr(built, name)) if name in fields else config[name]
        if name in config and name.endswith("_pattern") and isinstance(value, dict):
            value = config[name]  # In the order of the file.
        if name in fields:
            is_bool = "bool" in str(fields[name].type) and "None" not in str(fields[name].type) and "Optional" not in str(fields[name].type)
            default = fields[name].default
            if default is dataclasses.MISSING:
                default = fields[name].default_factory() if fields[name].default_factory is not dataclasses.MISSING else None
            value = one_form(name, value, is_bool)
            if name != "peft_type" and json.dumps(value) == json.dumps(one_form(name, plain(default), is_bool)):
                continue
        elif one_form(name, value, False) in (None, "", [], False):
            continue
        if name.endswith("_pattern") and isinstance(value, dict) and all(
                isinstance(item, (int, float)) and not isinstance(item, bool) for item in value.values()):
            hits = [{item for pattern, item in value.items() if re.match(rf"(.*\.)?({pattern})$", module)} for module in modules]
            if any(len(found) > 1 for found in hits):
                value = [[pattern, item] for pattern, item in value.items()]
        out[name] = value
    return out


def reference_id(folder):
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = read_safetensors(folder / "adapter_model.safetensors")
    modules = {re.sub(r"^base_model\.model\.|\.lora_(A|B|embedding_A|embedding_B)(\..*)?$", "", key) for key, *_ in tensors if ".lora_" in key}
    text = "ferrule-content-id 1\n" + json.dumps(meaning(config, modules), sort_keys=True) + "\n"
    for key, dtype, shape, data in sorted(tensors, key=lambda tensor: tensor[0].encode()):
        text += json.dumps([key, dtype, shape, hashlib.sha256(data).hexdigest()]) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


# Ours ------------------------------------------------------------------------------------------


def our_id(folder):
    done = subprocess.run([FERRULE, "id", str(folder)], capture_output=True, text=True)
    check(done.returncode == 0 and re.fullmatch("[0-9a-f]{64}\n", done.stdout) is not None, f"{folder}: {done}")
    return done.stdout.strip()


class Copy:
    """An adapter taken apart, to be written again another way."""

    def __init__(self, folder, base):
        self.base, self.number = base, 0
        self.config = json.loads((folder / "adapter_config.json").read_text())
        self.tensors = load_file(folder / "adapter_model.safetensors")

    def write(self, config=None, tensors=None, text=None, form="safetensors", metadata=None):
        self.number += 1
        folder = self.base / str(self.number)
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(text or json.dumps(self.config if config is None else config))
        tensors = self.tensors if tensors is None else tensors
        if form == "bin":
            torch.save(tensors, folder / "adapter_model.bin")
        else:
            save_file(tensors, folder / "adapter_model.safetensors", metadata=metadata)
        return folder


def reordered_file(folder):
    """The same tensors, in the opposite order in header and data."""
    path = folder / "adapter_model.safetensors"
    tensors = read_safetensors(path)[::-1]
    header, at = {}, 0
    for key, dtype, shape, data in tensors:
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors))


def same(name, made, base):
    folder = GOLDEN / name / "expected"
    want = our_id(folder)
    rng = random.Random(11)
    config = made.config

    def expect(path, what):
        check(our_id(path) == want, f"{name}: {what} changed the id")

    expect(made.write(form="bin"), "the container")
    expect(made.write(metadata={"format": "pt", "note": "x"}), "metadata")
    turned = made.write()
    reordered_file(turned)
    (turned / "README.md").write_text("another card")
    expect(turned, "the order of the file and a card")
    items = list(config.items())
    rng.shuffle(items)
    expect(made.write(dict(items)), "the order of keys")
    expect(made.write(text=json.dumps(config, indent=7)), "spaces")
    escaped = json.dumps(config).replace('"r"', '"\\u0072"').replace('"q_proj"', '"\\u0071_proj"')
    expect(made.write(text=escaped), "escapes")
    lists = {key: rng.sample(value, len(value)) if key in SETS and isinstance(value, list) else value for key, value in config.items()}
    expect(made.write(lists), "the order of sets")
    cls = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(config["peft_type"])]
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    few = {key: value for key, value in config.items() if key == "peft_type" or value != defaults.get(key, object())}
    check(len(few) < len(config), f"{name}: nothing is left out")
    expect(made.write(few), "defaults left out")
    expect(made.write({**config, "peft_version": "0.1", "base_model_name_or_path": "/elsewhere", "inference_mode": False,
                       "revision": "main", "auto_mapping": {"base_model_class": "X", "parent_library": "y"}}), "provenance")
    expect(made.write({**config, "enable_lora": None, "merge_weights": False, "runtime_config": {"a": 1}}), "old fields")
    floats = {key: float(value) if isinstance(value, int) and not isinstance(value, bool) and key in ("lora_alpha", "alpha") else value
              for key, value in config.items()}
    expect(made.write(floats), "16.0 for 16")


def changed(name, made, base):
    want = our_id(GOLDEN / name / "expected")
    config, tensors = made.config, made.tensors
    seen = {want}

    def expect(path, what):
        found = our_id(path)
        check(found not in seen, f"{name}: {what} did not change the id")
        seen.add(found)

    first = sorted(tensors)[0]
    bits = {key: value.clone() for key, value in tensors.items()}
    bits[first].view(torch.uint8).flatten()[0] ^= 1
    expect(made.write(tensors=bits), "one bit")
    zero, minus = ({key: value.clone() for key, value in tensors.items()} for _ in range(2))
    zero[first].flatten()[0], minus[first].flatten()[0] = 0.0, -0.0
    expect(made.write(tensors=zero), "a zero")
    expect(made.write(tensors=minus), "a negative zero")
    other = torch.float64 if tensors[first].dtype != torch.float64 else torch.float32
    expect(made.write(tensors={key: value.to(other) for key, value in tensors.items()}), "the dtype")
    if config["peft_type"] == "LORA":
        key = next(key for key in sorted(tensors) if key.endswith("lora_A.weight"))
        moved = {k.replace("q_proj", "z_proj"): value for k, value in tensors.items()}
        if set(moved) != set(tensors) and not config["rank_pattern"] and isinstance(config["target_modules"], list):
            expect(made.write({**config, "target_modules": config["target_modules"] + ["z_proj"]}), "a target more")
            expect(made.write({**config, "target_modules": config["target_modules"] + ["z_proj"]}, moved), "a key")
        if len(tensors[key].shape) == 2:
            shaped = {**tensors, key: tensors[key].reshape(*tensors[key].shape, 1)}
            expect(made.write(tensors=shaped), "a shape")
        expect(made.write({**config, "lora_alpha": config["lora_alpha"] + 1}), "alpha")
        expect(made.write({**config, "use_rslora": not config["use_rslora"]}), "rsLoRA")
        pattern = config["alpha_pattern"] or {}
        expect(made.write({**config, "alpha_pattern": {**pattern, "x_proj": 3}}), "a pattern")
        expect(made.write({**config, "alpha_pattern": {**pattern, "x_proj": 4}}), "a pattern's value")
        expect(made.write({**config, "alpha_pattern": {**pattern, ".*": 3, ".+": 5}}), "patterns that overlap")
        expect(made.write({**config, "alpha_pattern": {**pattern, ".+": 5, ".*": 3}}), "their order")


def patterns_apart(made):
    """The order of entries that never match one module means nothing."""
    one = made.write({**made.config, "alpha_pattern": {"q_proj": 3, "v_proj": 4}})
    two = made.write({**made.config, "alpha_pattern": {"v_proj": 4, "q_proj": 3}})
    check(our_id(one) == our_id(two), "entries apart: the order changed the id")


def kinds(base):
    """The type changes the id with everything else equal."""
    key = "base_model.model.0.q."
    tensors = {key + "ia3_l": torch.ones(4, 1)}
    made = Copy.__new__(Copy)
    made.base, made.number, made.tensors = base / "kinds", 0, tensors
    ids = set()
    for config in ({"peft_type": "IA3", "target_modules": ["q"], "feedforward_modules": []},
                   {"peft_type": "IA3", "target_modules": ["q"], "feedforward_modules": ["q"]}):
        ids.add(our_id(made.write(config)))
    made.tensors = {key + "hra_u": torch.ones(4, 8)}
    ids.add(our_id(made.write({"peft_type": "HRA", "target_modules": ["q"]})))
    made.tensors = {key + "miss_block": torch.ones(64, 4)}
    miss = our_id(made.write({"peft_type": "MISS", "target_modules": ["q"]}))
    check(miss == our_id(made.write({"peft_type": "BONE", "target_modules": ["q"]})), "BONE is MISS")
    check(len(ids | {miss}) == 4, "the type did not change the id")


def main():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        for case in sorted(GOLDEN.iterdir()):
            expected = case / "expected"
            if not (expected / "adapter_model.safetensors").exists():
                continue
            if json.loads((expected / "adapter_config.json").read_text())["peft_type"] == "LORA":
                check(our_id(expected) == reference_id(expected), f"{case.name}: not the id of the definition")
        for name in ("lora", "rankpat", "rslora", "conv_lora_c2", "lora_emb", "lora_mts", "half", "eva", "loha", "ia3"):
            made = Copy(GOLDEN / name / "expected", base / name)
            same(name, made, base)
            changed(name, made, base)
        patterns_apart(Copy(GOLDEN / "lora/expected", base / "apart"))
        kinds(base)
        overlap = Copy(GOLDEN / "lora/expected", base / "overlap").write(
            {**json.loads((GOLDEN / "lora/expected/adapter_config.json").read_text()), "alpha_pattern": {".*proj": 3.5, "q_proj": 5}})
        check(our_id(overlap) == reference_id(overlap), "overlapping patterns: not the id of the definition")
    for failure in FAILURES[:20]:
        print(failure)
    print(f"content id: {CHECKS} checks, {len(FAILURES)} failed")
    return 1 if FAILURES or CHECKS < 400 else 0


if __name__ == "__main__":
    sys.exit(main())
