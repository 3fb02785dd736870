#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` on checkpoints that DeepSpeed wrote (tests/golden/deepspeed), and on the same with every kind of damage.

    rescue_deepspeed.py FERRULE
"""

import pathlib
import pickle
import shutil
import sys
import zipfile

import mutations as mutation_table
import rescue_checks
import torch

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "deepspeed"
STEP = "global_step2"
MODEL = "mp_rank_00_model_states.pt"


def optimizer(rank, prefix=""):
    return f"{prefix}zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"


def model(rank):
    return f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt"


class Stand:
    """Takes the place of DeepSpeed's classes, which are not installed here, and is written back as itself."""

    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        self.state = state

    def __reduce__(self):
        return (dict, ())


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return Stand if module.startswith("deepspeed") else super().find_class(module, name)


class Pickle:
    Unpickler = Unpickler
    Pickler = pickle.Pickler
    load = staticmethod(lambda file, **options: Unpickler(file, **options).load())


def edit(path, change):
    """Loads a file with the real torch, changes it and writes it back."""
    data = torch.load(path, pickle_module=Pickle, weights_only=False)
    change(data)
    torch.save(data, path)


def set_value(path, *keys, value):
    def change(data):
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    edit(path, change)


def shorten(path):
    """Weights of one element less than the parameters need."""

    def change(data):
        groups = data["optimizer_state_dict"]
        key = "fp32_flat_groups" if "fp32_flat_groups" in groups else "single_partition_of_fp32_groups"
        groups[key] = [group[:-9].clone() for group in groups[key]]

    edit(path, change)


def flip(path, name):
    """A byte of a record changes, its checksum does not."""
    with zipfile.ZipFile(path) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith(name))
    data = bytearray(path.read_bytes())
    start = info.header_offset + 30 + int.from_bytes(data[info.header_offset + 26 : info.header_offset + 28], "little")
    start += int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
    data[start + 5] ^= 1
    path.write_bytes(data)


def flip_weights(path):
    """In the weights themselves, wherever the pickle says they are."""
    data = torch.load(path, pickle_module=Pickle, weights_only=False)["optimizer_state_dict"]["fp32_flat_groups"][0]
    raw = data.detach().numpy().tobytes()[:64]
    file = bytearray(path.read_bytes())
    at = file.index(raw)
    file[at + 9] ^= 1
    path.write_bytes(file)


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def second_adapter(path):
    def change(data):
        names = [name for name in data["module"] if ".default." in name]
        for name in names:
            data["module"][name.replace(".default.", ".other.")] = data["module"][name] + 1

    edit(path, change)


def unwrapped_layer(path):
    def change(data):
        data["module"]["base_model.model.model.layers.0.self_attn.o_proj.base_layer.weight"] = torch.ones(24, 24)

    edit(path, change)


def without_head(path):
    edit(path, lambda data: [data["module"].pop(name) for name in list(data["module"]) if "modules_to_save" in name])


ZERO2 = [
    (lambda d: (d / STEP / optimizer(1)).unlink(), "RS-5", optimizer(1)),
    (lambda d: (d / STEP / MODEL).unlink(), "RS-5", MODEL),
    (lambda d: [(d / STEP / optimizer(r)).unlink() for r in (0, 1)], "RS-5", optimizer(0)),
    (lambda d: cut(d / STEP / optimizer(1), -700), "TZ-1", optimizer(1)),
    (lambda d: cut(d / STEP / MODEL, 9000), "TZ-1", MODEL),
    (lambda d: shutil.copy(d / STEP / optimizer(1), d / STEP / optimizer(2)), "RS-5", optimizer(2)),
    (lambda d: set_value(d / STEP / MODEL, "dp_world_size", value=4), "RS-5", optimizer(2)),
    (lambda d: set_value(d / STEP / MODEL, "global_steps", value=3), "RS-6", "step 2"),
    (lambda d: set_value(d / STEP / optimizer(1), "ds_config", "train_micro_batch_size_per_gpu", value=7), "RS-6", optimizer(1)),
    (
        lambda d: set_value(
            d / STEP / optimizer(1), "optimizer_state_dict", "base_optimizer_state", "state", 0, "step", value=torch.tensor(5.0)
        ),
        "RS-6",
        optimizer(1),
    ),
    (lambda d: set_value(d / STEP / optimizer(1), "optimizer_state_dict", "partition_count", value=[3]), "RS-5", optimizer(1)),
    (lambda d: shorten(d / STEP / optimizer(0)), "RS-8", "optim_states"),
    (lambda d: set_value(d / STEP / MODEL, "mp_world_size", value=2), "RS-7", "mp_world_size"),
    (lambda d: shutil.copy(d / STEP / MODEL, d / STEP / "mp_rank_01_model_states.pt"), "RS-7", "mp_rank_01"),
    (lambda d: (d / "latest").write_text("global_step9"), "RS-9", "global_step9"),
    (lambda d: second_adapter(d / STEP / MODEL), "RS-11", '"other"'),
    (lambda d: unwrapped_layer(d / STEP / MODEL), "RS-12", "o_proj"),
    (lambda d: without_head(d / STEP / MODEL), "AD-13", "lm_head"),
    (lambda d: set_value(d / STEP / MODEL, "module", value={}), "RS-10", "no adapter"),
]

ZERO3 = [
    (lambda d: (d / STEP / optimizer(1, "bf16_")).unlink(), "RS-5", optimizer(1, "bf16_")),
    (lambda d: (d / STEP / model(1)).unlink(), "RS-5", model(1)),
    (lambda d: (d / STEP / model(0)).unlink(), "RS-5", model(0)),
    (lambda d: set_value(d / STEP / model(1), "global_steps", value=1), "RS-6", model(1)),
    (lambda d: set_value(d / STEP / model(1), "dp_world_size", value=3), "RS-5", model(1)),
    (lambda d: set_value(d / STEP / model(1), "param_shapes", value=[]), "RS-6", model(1)),
    (lambda d: shorten(d / STEP / optimizer(1, "bf16_")), "RS-8", optimizer(1, "bf16_")),
    (lambda d: flip(d / STEP / optimizer(1, "bf16_"), "data.pkl"), "TZ-11", optimizer(1, "bf16_")),
    (lambda d: flip_weights(d / STEP / optimizer(0, "bf16_")), "TZ-11", optimizer(0, "bf16_")),
]


def of_models(folder, change):
    for path in (folder / STEP).glob("*model_states.pt"):
        edit(path, change)


def empty_factor(data):
    name = next(name for name in data["module"] if "lora_A" in name)
    data["module"][name] = torch.empty(0)


def empty_shape(data):
    name = next(name for name in data["param_shapes"][0] if "lora_A" in name)
    data["param_shapes"][0][name] = torch.Size([0, 24])


def without_adapter(data):
    """The same weights under names that are not an adapter's."""
    data["module"] = {name.replace("lora_", "layer_").replace("modules_to_save", "x"): tensor for name, tensor in data["module"].items()}
    data["param_shapes"] = [{name.replace("lora_", "layer_").replace("modules_to_save", "x"): shape for name, shape in group.items()}
                            for group in data["param_shapes"]]


def other_config(data):
    data["ds_config"]["train_micro_batch_size_per_gpu"] = 7


def no_models(folder):
    for path in (folder / STEP).glob("*model_states.pt"):
        path.unlink()


def mutations():
    last3 = optimizer(1, "bf16_")
    return {
        "zero2": {
            "missing file": (lambda d: (d / STEP / optimizer(1)).unlink(), "RS-5", optimizer(1)),
            "cut file": (lambda d: cut(d / STEP / MODEL, -700), "TZ-1", MODEL),
            "mixed steps": (lambda d: set_value(d / STEP / MODEL, "global_steps", value=3), "RS-6", "step 2"),
            "wrong world": (lambda d: set_value(d / STEP / MODEL, "dp_world_size", value=3), "RS-5", optimizer(2)),
            "empty tensor": (lambda d: of_models(d, empty_factor), "AD-", "lora_A"),
            "another run": (lambda d: edit(d / STEP / optimizer(1), other_config), "RS-6", optimizer(1)),
            "optimizer alone": (no_models, "RS-5", MODEL),
            "no adapter": (lambda d: of_models(d, without_adapter), "RS-10", "without an adapter"),
        },
        "zero3-bf16": {
            "missing file": (lambda d: (d / STEP / last3).unlink(), "RS-5", last3),
            "cut file": (lambda d: cut(d / STEP / last3, -700), "TZ-1", last3),
            "mixed steps": (lambda d: set_value(d / STEP / model(1), "global_steps", value=3), "RS-6", model(1)),
            "wrong world": (lambda d: of_models(d, lambda s: s.update(dp_world_size=3)), "RS-5", model(2)),
            "empty tensor": (lambda d: of_models(d, empty_shape), "RS-8", "optim_states.pt"),
            "another run": (lambda d: edit(d / STEP / last3, other_config), "RS-6", last3),
            "optimizer alone": (no_models, "RS-5", model(0)),
            "no adapter": (lambda d: of_models(d, without_adapter), "RS-10", "without an adapter"),
        },
    }


def main():
    checks = rescue_checks.Checks(sys.argv[1])
    zero2, zero3 = GOLDEN / "zero2", GOLDEN / "zero3-bf16"
    for checkpoint in (zero2, zero2 / STEP):
        checks.good(checkpoint, zero2 / "expected", says={"step": 2, "world_size": 2})
    checks.good(zero2, zero2 / "master", options=["--prefer", "master"])
    for checkpoint in (zero3, zero3 / STEP):
        checks.good(checkpoint, zero3 / "master", says={"step": 2, "world_size": 2})
    # RS-20: rounded to the model's dtype, the optimizer's weights are the model's.
    checks.good(zero3, zero3 / "expected", options=["--prefer", "working"])
    for golden, broken in ((zero2, ZERO2), (zero3, ZERO3)):
        for how, rule, names in broken:
            checks.refused(golden, golden / "expected/adapter_config.json", "rescue", how, rule, names)
    mutation_table.run(checks, GOLDEN, mutations(), lambda kind: GOLDEN / kind / "expected/adapter_config.json")
    checks.refused(zero2, None, "rescue", None, "RS-12", "--config")
    checks.refused(zero2, zero2 / "expected/adapter_config.json", "rescue", None, "RS-11", "nobody", ["--adapter", "nobody"])
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
