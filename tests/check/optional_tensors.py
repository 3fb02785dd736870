# SPDX-License-Identifier: Apache-2.0
"""Adapters of every type whose config was exchanged for one that asks for other tensors, against live PEFT.

usage: optional_tensors.py FERRULE [TYPE,TYPE]

Each flag, choice and hybrid rank of each config class is set to each of its values. Where two of the files have other
tensors, one gets the other's config: where PEFT loads everything, check says ok or warn; where it drops tensors, leaves
some at their start or raises, check says bad.
"""
import dataclasses
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing
from contextlib import redirect_stderr

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import GQA, P, T
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft_verdict import peft_verdict
from safetensors.torch import load_file

FERRULE = sys.argv[1]
ONLY = sys.argv[2].split(",") if len(sys.argv) > 2 else []
# What a small model needs.
FIELDS = {"ADALORA": dict(total_step=10), "VBLORA": dict(vector_length=4, num_vectors=8, topk=2, r=2), "BOFT": dict(boft_block_size=4),
          "OFT": dict(oft_block_size=4), "HRA": dict(r=2), "FOURIERFT": dict(n_frequency=8), "C3A": dict(block_size=16),
          "IA3": dict(feedforward_modules=[]), "WAVEFT": dict(n_frequency=8), "SHIRA": dict(r=2), "MISS": dict(r=4), "PSOFT": dict(r=4),
          "ROAD": dict(group_size=8), "LN_TUNING": dict(target_modules=["input_layernorm"])}
# `bias` has no tensors of a method: the biases are the base's own (AD-7).
LEFT_OUT = {"bias", "inference_mode"}
# (type, field, value of the file): how many frequencies a layer gets follows from the sizes of all of them.
KNOWN = {("WAVEFT", "proportional_parameters", False)}


def model():
    torch.manual_seed(0)
    return T.LlamaForCausalLM(T.LlamaConfig(**GQA))


def choices(cls):
    """(field, its values): flags, literals, and the number that switches GraLoRA's general factors on."""
    for field in dataclasses.fields(cls):
        literals = [value for part in (field.type, *typing.get_args(field.type)) if typing.get_origin(part) is typing.Literal
                    for value in typing.get_args(part)]
        if field.name in LEFT_OUT:
            continue
        if field.name == "hybrid_r":
            yield field.name, [0, 2]
        elif "bool" in str(field.type):
            yield field.name, [True, False]
        elif literals:
            yield field.name, literals


def live(base, folder):
    # VB-LoRA's vector bank is in every layer, and saved once.
    return peft_verdict(lambda: T.LlamaForCausalLM.from_pretrained(base), folder, ignored="vblora_vector_bank")


def check(base, folder):
    done = subprocess.run([FERRULE, "check", folder, "--base", base, "--json"], capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return answer["verdict"], "; ".join(f"{f['rule']} {f['message']}"[:200] for f in answer["findings"][:3])


def pairs(cls, fields, work):
    """(field, value of the file, value of the config, folder)"""
    for field, values in choices(cls):
        made = {}
        for number, value in enumerate(values):
            folder = work / field / str(number)
            try:
                P.get_peft_model(model(), cls(**{**fields, field: value})).save_pretrained(folder)
            except Exception:
                continue  # A value that needs more than this.
            made[value] = folder, {key: tensor.shape for key, tensor in load_file(folder / "adapter_model.safetensors").items()}
        for ours, (folder, tensors) in made.items():
            for theirs, (other, wanted) in made.items():
                if tensors != wanted:
                    mixed = work / field / "mixed"
                    shutil.rmtree(mixed, ignore_errors=True)
                    shutil.copytree(folder, mixed)
                    shutil.copy(other / "adapter_config.json", mixed)
                    yield field, ours, theirs, mixed


def main():
    failed, count, types = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        base = work / "base"
        model().save_pretrained(base)
        for peft_type, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items():
            name = str(getattr(peft_type, "value", peft_type))
            if "target_modules" not in {field.name for field in dataclasses.fields(cls)} or (ONLY and name not in ONLY):
                continue
            fields = {"target_modules": ["q_proj", "v_proj"], **FIELDS.get(name, {})}
            types += 1
            for field, ours, theirs, mixed in pairs(cls, fields, work / name):
                count += 1
                loaded, (verdict, said) = live(base, mixed), check(base, mixed)
                if (name, field, ours) in KNOWN:
                    continue
                if (loaded == "loads") != (verdict in ("ok", "warn")):
                    failed.append(f"{name} {field}: file of {ours}, config of {theirs}: PEFT {loaded}; check {verdict}: {said}")
    print("\n".join(failed))
    print(f"{count - len(failed)} of {count} agree, of {types} types")
    sys.exit(1 if failed or not count else 0)


if __name__ == "__main__":
    with redirect_stderr(io.StringIO()):
        main()
