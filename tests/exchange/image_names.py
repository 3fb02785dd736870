# SPDX-License-Identifier: Apache-2.0
"""Files of image and video models in the spellings of several trainers, made of random numbers, and what diffusers makes of them.

image_converters.py and image_families.py FERRULE compare both: the updates of all modules.
"""

import contextlib
import io
import json
import re
import subprocess
import sys

import torch
from safetensors.torch import load_file, save_file

FERRULE = sys.argv[1]
torch.manual_seed(3)


def convert(source, out, to, *options):
    command = [FERRULE, "convert", source, "-o", out, "--to", to, "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dropped"] == []
    return out


def look_up(table, path, default):
    return next((value for key, value in table.items() if re.match(rf"(.*\.)?({key})$", path)), default)


def read_peft(folder):
    """{component.path: update}, with biases as {component.path.bias}."""
    out = {}
    for below in sorted(folder.iterdir()):
        config = json.loads((below / "adapter_config.json").read_text())
        tensors = {key.removeprefix("base_model.model."): value.double() for key, value in load_file(below / "adapter_model.safetensors").items()}
        for key, value in tensors.items():
            path, leaf = re.fullmatch(r"(.*?)\.(lora_[AB]\.\w+|weight)", key).groups()
            if leaf in ("lora_B.weight", "lora_B.bias"):
                alpha, rank = look_up(config["alpha_pattern"], path, config["lora_alpha"]), look_up(config["rank_pattern"], path, config["r"])
                strength = alpha / rank
                a = tensors[path + ".lora_A.weight"]
                assert a.shape[0] == rank, path
                if leaf == "lora_B.bias":
                    out[f"{below.name}.{path}.bias"] = strength * value
                else:
                    out[f"{below.name}.{path}"] = strength * (value.flatten(1) @ a.flatten(1))
            elif leaf == "weight":
                out[f"{below.name}.{path}.weight"] = value
    return out


def updates_of(state):
    """The same of diffusers' own state dict, whose strengths are multiplied in."""
    out = {}
    for key, value in state.items():
        path, leaf = re.fullmatch(r"(.*?)\.(lora_[AB]\.\w+|weight)", key).groups()
        if leaf == "lora_B.weight":
            out[path] = value.double().flatten(1) @ state[path + ".lora_A.weight"].double().flatten(1)
        elif leaf == "lora_B.bias":
            out[path + ".bias"] = value.double()
        elif leaf == "weight":
            out[path + ".weight"] = value.double()
    return out


def same(got, want, title):
    got = {path: value for path, value in got.items() if path in want or value.any()}
    assert sorted(got) == sorted(want), (title, sorted(set(got) ^ set(want))[:8])
    for path, value in want.items():
        error = (got[path] - value).norm() / value.norm()
        assert error <= 3e-6, (title, path, float(error))
    print(f"{title}: {len(want)}", flush=True)


def lora(name, inner, outer, alpha=None, rank=2, leaves=("lora_A", "lora_B")):
    tensors = {f"{name}.{leaves[0]}.weight": torch.randn(rank, inner) / 8, f"{name}.{leaves[1]}.weight": torch.randn(outer, rank)}
    if alpha is not None:
        tensors[name + ".alpha"] = torch.tensor(alpha)
    return tensors


KOHYA = ("lora_down", "lora_up")


def wan_names(i2v=False):
    names = {}
    for i in range(2):
        for kind in ("self_attn", "cross_attn"):
            names.update({f"blocks.{i}.{kind}.{x}": (16, 16) for x in "qkvo"})
        names.update({f"blocks.{i}.ffn.0": (16, 32), f"blocks.{i}.ffn.2": (32, 16)})
        if i2v:
            names.update({f"blocks.{i}.cross_attn.{x}_img": (16, 16) for x in "kv"})
    return names


def hunyuan_names():
    names = {"single_blocks.0.linear1": (8, 3072 * 7), "single_blocks.0.linear2": (40, 8), "single_blocks.0.modulation.linear": (8, 24)}
    for kind in ("img", "txt"):
        block = "double_blocks.1." + kind
        names.update({block + "_attn_qkv": (8, 24), block + "_attn_proj": (8, 8), block + "_mlp.fc1": (8, 32), block + "_mlp.fc2": (32, 8),
                      block + "_mod.linear": (8, 48)})
    refiner = "txt_in.individual_token_refiner.blocks.0."
    names.update({"txt_in.input_embedder": (12, 8), "txt_in.t_embedder.mlp.0": (16, 8), "txt_in.t_embedder.mlp.2": (8, 8), "txt_in.c_embedder.linear_1": (8, 8),
                  "txt_in.c_embedder.linear_2": (8, 8), refiner + "self_attn_proj": (8, 8), refiner + "mlp.fc1": (8, 32), refiner + "mlp.fc2": (32, 8),
                  refiner + "adaLN_modulation.1": (8, 16), "time_in.mlp.0": (16, 8), "time_in.mlp.2": (8, 8), "guidance_in.mlp.0": (16, 8),
                  "guidance_in.mlp.2": (8, 8), "vector_in.in_layer": (8, 8), "vector_in.out_layer": (8, 8), "final_layer.linear": (8, 16)})
    return names


def flux_names():
    names = {"single_blocks.0.linear1": (8, 21504), "single_blocks.0.linear2": (20, 16), "single_blocks.0.modulation.lin": (16, 48)}
    for kind in ("img", "txt"):
        block = f"double_blocks.0.{kind}_"
        names.update({block + "attn.qkv": (16, 48), block + "attn.proj": (16, 16), block + "mlp.0": (16, 64), block + "mlp.2": (64, 16), block + "mod.lin": (16, 96)})
    return names


def qwen_names():
    attention = "to_q to_k to_v to_out.0 add_q_proj add_k_proj add_v_proj to_add_out".split()
    names = {f"transformer_blocks.1.attn.{x}": (8, 8) for x in attention}
    for kind in ("img", "txt"):
        names.update({f"transformer_blocks.1.{kind}_mod.1": (8, 48), f"transformer_blocks.1.{kind}_mlp.net.0.proj": (8, 32),
                      f"transformer_blocks.1.{kind}_mlp.net.2": (32, 8), kind + "_in": (4, 8)})
    names.update({"proj_out": (8, 4), "norm_out.linear": (8, 16), "time_text_embed.timestep_embedder.linear_1": (16, 8), "time_text_embed.timestep_embedder.linear_2": (8, 8)})
    return names


def dotted(names, prefix="diffusion_model.", alpha=None, leaves=("lora_A", "lora_B"), **options):
    return {key: value for name, size in names.items() for key, value in lora(prefix + name, *size, alpha=alpha, leaves=leaves, **options).items()}


def flat(names, prefix="lora_unet_", alpha=1.5, leaves=KOHYA):
    return {key: value for name, size in names.items() for key, value in lora(prefix + name.replace(".", "_"), *size, alpha=alpha, leaves=leaves).items()}


def refuse(folder, rule, tensors, *options, metadata=None):
    file, out = folder / "bad.safetensors", folder / "bad"
    save_file(tensors, file, metadata)
    done = subprocess.run([FERRULE, "convert", file, "-o", out, "--to", "peft", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and f"[{rule}]" in done.stderr, (rule, done.returncode, done.stderr)
    assert not out.exists()


def read(folder, tensors, *options, metadata=None):
    file, out = folder / "one.safetensors", folder / f"one{len(list(folder.iterdir()))}"
    save_file(tensors, file, metadata)
    return read_peft(convert(file, out, "peft", *options))


def compare_files(folder, files):
    """Each is (title, the mixin that loads it, tensors, options)."""
    for number, (title, mixin, tensors, *options) in enumerate(files):
        file = folder / f"{number}.safetensors"
        save_file(tensors, file)
        with contextlib.redirect_stderr(io.StringIO()):
            state = mixin.lora_state_dict({key: value.clone() for key, value in tensors.items()})
        state = state[0] if isinstance(state, tuple) else state
        same(read_peft(convert(file, folder / str(number), "peft", *options)), updates_of(state), title)


def compare_written(folder, cases):
    """What Ferrule writes for kohya-ss' trainers and for diffusers is what diffusers loads: (--arch, mixin, tensors)."""
    for number, (arch, mixin, source) in enumerate(cases):
        file = folder / f"{number}.safetensors"
        save_file(source, file)
        peft = convert(file, folder / str(number), "peft")
        want = read_peft(peft)
        kohya = convert(peft, folder / f"{number}k.safetensors", "kohya", "--arch", arch)
        tensors = load_file(kohya)
        assert all(key.startswith("lora_unet_") for key in tensors)
        same(read_peft(convert(kohya, folder / f"{number}r", "peft", "--arch", arch)), want, f"{arch} written for kohya-ss and back")
        if mixin is not None:
            state = mixin.lora_state_dict(tensors)
            same(updates_of(state[0] if isinstance(state, tuple) else state), want, f"{arch} written for kohya-ss")
        native = convert(peft, folder / f"{number}d.safetensors", "diffusers")
        assert sorted(load_file(native)) == sorted(f"transformer.{key.removeprefix('base_model.model.')}" for key in load_file(peft / "transformer/adapter_model.safetensors"))
        same(read_peft(convert(native, folder / f"{number}b", "peft")), want, f"{arch} written for diffusers")
