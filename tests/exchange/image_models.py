# SPDX-License-Identifier: Apache-2.0
"""image_models.py FERRULE: image adapters of kohya-ss, LyCORIS and diffusers, there and back, and what is refused.

Files are made of random numbers in each program's spelling; NumPy says what they add to the weights. real_image_models.py
compares the same with the programs themselves.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

FERRULE = sys.argv[1]
random = np.random.default_rng(11)
UNET = {"conv_in": (8, 4, 3, 3), "time_embedding.linear_1": (16, 8), "down_blocks.0.attentions.0.proj_in": (8, 8, 1, 1),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": (8, 8), "down_blocks.0.resnets.0.conv1": (8, 8, 3, 3),
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0": (8, 8), "down_blocks.0.resnets.0.time_emb_proj": (8, 16),
        "down_blocks.0.downsamplers.0.conv": (8, 8, 3, 3), "mid_block.resnets.1.conv2": (8, 8, 3, 3), "up_blocks.0.upsamplers.0.conv": (8, 8, 3, 3),
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj": (64, 8), "up_blocks.0.resnets.0.conv_shortcut": (8, 16, 1, 1)}
TEXT = {"encoder.layers.0.self_attn.q_proj": (8, 8), "encoder.layers.0.mlp.fc1": (16, 8), "encoder.layers.1.self_attn.out_proj": (8, 8)}


def tensor(*shape, dtype="f4"):
    return (random.standard_normal(shape) * 0.3).astype(dtype)


def factors(shape, rank=3):
    ones = (1,) * (len(shape) - 2)
    return tensor(rank, *shape[1:]), tensor(shape[0], rank, *ones)


def product(a, b):
    return (b.reshape(b.shape[0], -1).astype("f8") @ a.reshape(a.shape[0], -1)).reshape(b.shape[0], *a.shape[1:])


def look_up(table, path, default):
    return next((value for key, value in (table or {}).items() if re.match(rf"(.*\.)?({key})$", path)), default)


def read_peft(folder):
    """{component.path: update}, {component.path: magnitude}"""
    updates, magnitudes = {}, {}
    for below in sorted(folder.iterdir()):
        config = json.loads((below / "adapter_config.json").read_text())
        tensors = {key.removeprefix("base_model.model."): value for key, value in load_file(below / "adapter_model.safetensors").items()}
        modules = {re.split(r"\.(lora_|hada_|lokr_)", key)[0] for key in tensors}
        for path in modules:
            own = {key[len(path) + 1:]: value.astype("f8") for key, value in tensors.items() if key.startswith(path + ".")}
            targets = config["target_modules"]
            hit = re.fullmatch(targets, path) if isinstance(targets, str) else any(("." + path).endswith("." + end) for end in targets)
            assert hit, (path, targets)
            rank = look_up(config["rank_pattern"], path, config["r"])
            strength = look_up(config["alpha_pattern"], path, config.get("lora_alpha", config.get("alpha"))) / rank
            updates[f"{below.name}.{path}"] = strength * update_of(own)
            if "lora_magnitude_vector" in own:
                magnitudes[f"{below.name}.{path}"] = own["lora_magnitude_vector"]
                assert config["use_dora"]
            if "lora_A.weight" in own:
                assert own["lora_A.weight"].shape[0] == rank
    return updates, magnitudes


def update_of(own):
    """Of LoRA, LoHa and LoKr without their strength."""
    if "lora_A.weight" in own:
        return product(own["lora_A.weight"], own["lora_B.weight"])
    if "hada_w1_a" in own:
        return (own["hada_w1_a"] @ own["hada_w1_b"]) * (own["hada_w2_a"] @ own["hada_w2_b"])
    first = own["lokr_w1"] if "lokr_w1" in own else own["lokr_w1_a"] @ own["lokr_w1_b"]
    second = own["lokr_w2"] if "lokr_w2" in own else own["lokr_w2_a"] @ own["lokr_w2_b"]
    return np.kron(first, second)


def same(got, want, title, tolerance=1e-6):
    got = {path: value for path, value in got.items() if path in want or np.any(value)}
    assert sorted(got) == sorted(want), (title, sorted(set(got) ^ set(want)))
    for path, value in want.items():
        assert got[path].size == value.size, (title, path, got[path].shape, value.shape)
        error = np.linalg.norm(got[path].reshape(-1) - value.reshape(-1)) / np.linalg.norm(value)
        assert error <= tolerance, (title, path, error)


class Case:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.base = folder / "base"
        for name, modules, config in (("unet", UNET, {"_class_name": "UNet2DConditionModel", "layers_per_block": 1}),
                                      ("text_encoder", TEXT, {"architectures": ["CLIPTextModel"]})):
            (self.base / name).mkdir(parents=True)
            (self.base / name / "config.json").write_text(json.dumps(config))
            save_file({path + ".weight": tensor(*shape) for path, shape in modules.items()}, self.base / name / "model.safetensors")
        (self.base / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))

    def file(self, tensors, metadata=None):
        self.count += 1
        path = self.folder / f"source{self.count}.safetensors"
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, metadata)
        return path

    def run(self, source, to, *options):
        self.count += 1
        out = self.folder / f"out{self.count}"
        done = subprocess.run([FERRULE, "convert", source, "-o", out, "--to", to, "--json", *map(str, options)],
                              capture_output=True, text=True, check=False)
        return out, done

    def convert(self, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["dropped"] == []
        return out

    def refuse(self, rule, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 1 and f"[{rule}]" in done.stderr, (rule, done.returncode, done.stderr)
        assert not out.exists()

    def read(self, tensors, *options, metadata=None):
        return read_peft(self.convert(self.file(tensors, metadata), "peft", *options))


def site(name, shape, alpha=None, rank=3, words=("lora_down.weight", "lora_up.weight")):
    """The tensors of one module and its update."""
    a, b = factors(shape, rank)
    tensors = {f"{name}.{words[0]}": a, f"{name}.{words[1]}": b}
    if alpha is not None:
        tensors[name + ".alpha"] = alpha
    return tensors, product(a, b) * (1 if alpha is None else float(alpha) / rank)


def check_kohya(case):
    tensors, want = {}, {}
    alphas = [np.float32(2), np.array(5, "i8"), np.array(1.5, "f2"), None, np.float64(0.1)]
    for number, (path, shape) in enumerate(UNET.items()):
        own, want["unet." + path] = site("lora_unet_" + path.replace(".", "_"), shape, alphas[number % 5], rank=2 + number % 3)
        tensors.update(own)
    for level in ("", "text_model_"):
        clip = dict(tensors)
        for path, shape in TEXT.items():
            own, want["text_encoder." + path] = site(f"lora_te_{level}{path.replace('.', '_')}", shape, np.float32(6))
            clip.update(own)
        got, _ = case.read(clip, "--base", case.base)
        same(got, want, "kohya")
    peft = case.convert(case.file(clip), "peft", "--base", case.base)
    for to in ("kohya", "diffusers", "lycoris"):
        for base in (["--base", case.base], []):
            out = case.convert(peft, to, *base)
            back = case.convert(out, "peft", "--base", case.base)
            same(read_peft(back)[0], want, to)
    keys = load_file(case.convert(peft, "kohya"))
    assert "lora_te_text_model_encoder_layers_0_mlp_fc1.alpha" in keys
    assert all(key.split(".")[0] + ".alpha" in keys for key in keys)


def check_dora(case):
    path, conv = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "conv_in"
    tensors, _ = site("lora_unet_" + path.replace(".", "_"), UNET[path], np.float32(2))
    more, _ = site("lora_unet_conv_in", UNET[conv], np.float32(2))
    tensors.update(more)
    rows, conv_rows = abs(tensor(8, 1)), abs(tensor(8, 1, 1, 1))
    tensors["lora_unet_" + path.replace(".", "_") + ".dora_scale"] = rows
    tensors["lora_unet_conv_in.dora_scale"] = conv_rows
    source = case.convert(case.file(tensors), "peft", "--base", case.base)
    _, magnitudes = read_peft(source)
    assert magnitudes["unet.conv_in"].shape == (1, 8, 1, 1) and magnitudes["unet." + path].shape == (8,)
    same(magnitudes, {"unet." + path: rows, "unet.conv_in": conv_rows}, "DoRA")
    back = load_file(case.convert(source, "kohya", "--base", case.base))
    assert np.array_equal(back["lora_unet_conv_in.dora_scale"], conv_rows)
    # PEFT has DoRA on LoRA alone: LoHa and LoKr are written out.
    name, shape = "lora_unet_time_embedding_linear_1", UNET["time_embedding.linear_1"]
    loha = {"hada_w1_a": tensor(16, 2), "hada_w1_b": tensor(2, 8), "hada_w2_a": tensor(16, 2), "hada_w2_b": tensor(2, 8)}
    lokr = {"lokr_w1": tensor(4, 2), "lokr_w2_a": tensor(4, 1), "lokr_w2_b": tensor(1, 4)}
    rows = abs(tensor(shape[0], 1))
    for own, strength in ((loha, 3 / 2), (lokr, 3)):
        file = {**{f"{name}.{leaf}": value for leaf, value in own.items()}, name + ".alpha": np.array(3, "f4"), name + ".dora_scale": rows}
        updates, magnitudes = case.read(file, "--base", case.base)
        same(updates, {"unet.time_embedding.linear_1": strength * update_of({leaf: value.astype("f8") for leaf, value in own.items()})}, "DoRA on another method")
        same(magnitudes, {"unet.time_embedding.linear_1": rows}, "its magnitude")
        case.refuse("EX-3", case.file({**file, name + ".dora_scale": abs(tensor(1, 8))}), "peft", "--base", case.base)
    columns = {**tensors, "lora_unet_" + path.replace(".", "_") + ".dora_scale": rows.T.copy()}
    case.refuse("EX-3", case.file(columns), "peft", "--base", case.base)


def check_methods(case):
    path = "time_embedding.linear_1"
    name = "lora_unet_time_embedding_linear_1"
    loha = {"hada_w1_a": tensor(16, 2), "hada_w1_b": tensor(2, 8), "hada_w2_a": tensor(16, 2), "hada_w2_b": tensor(2, 8)}
    lokr = {"lokr_w1": tensor(4, 2), "lokr_w2_a": tensor(4, 1), "lokr_w2_b": tensor(1, 4)}
    whole = {"lokr_w1": tensor(4, 2), "lokr_w2": tensor(4, 4)}
    for title, own, strength in (("LoHa", loha, 5 / 2), ("LoKr", lokr, 5), ("two whole factors", whole, 1)):
        file = case.file({**{f"{name}.{key}": value for key, value in own.items()}, name + ".alpha": np.float32(5)})
        peft = case.convert(file, "peft", "--base", case.base)
        want = {"unet." + path: strength * update_of({key: value.astype("f8") for key, value in own.items()})}
        same(read_peft(peft)[0], want, title)
        for to in ("kohya", "lycoris"):
            back = case.convert(case.convert(peft, to, "--base", case.base), "peft", "--base", case.base)
            same(read_peft(back)[0], want, title)
    # A strength that is multiplied into factors of 16 bits rounds them.
    halves = {f"{name}.{key}": value.astype("f2") for key, value in whole.items()}
    folder = case.convert(case.file(halves), "peft", "--base", case.base) / "unet"
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "alpha": 0.3, "alpha_pattern": {}}))
    want = {"unet." + path: 0.3 / config["r"] * update_of({key: value.astype("f2").astype("f8") for key, value in whole.items()})}
    for to in ("kohya", "lycoris"):
        back = case.convert(case.convert(folder.parent, to, "--base", case.base), "peft", "--base", case.base)
        same(read_peft(back)[0], want, "strength of 16 bits", 1e-3)
    check_based(case)
    down, mid, up = tensor(2, 8, 1, 1), tensor(2, 2, 3, 3), tensor(8, 2, 1, 1)
    resnet = "lora_unet_down_blocks_0_resnets_0_conv1"
    got, _ = case.read({resnet + ".lora_down.weight": down, resnet + ".lora_mid.weight": mid, resnet + ".lora_up.weight": up}, "--base", case.base)
    same(got, {"unet.down_blocks.0.resnets.0.conv1": np.einsum("mnxy,im,nj->ijxy", mid, up[..., 0, 0], down[..., 0, 0])}, "core")
    difference, kernel = tensor(16, 8), tensor(8, 8, 3, 3)
    got, _ = case.read({name + ".diff": difference, resnet + ".diff": kernel}, "--base", case.base)
    same(got, {"unet." + path: difference, "unet.down_blocks.0.resnets.0.conv1": kernel}, "whole difference")


def check_based(case):
    """GLoRA and IA3 of LyCORIS, which multiply the base's weight."""
    path, name = "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj", "lora_unet_up_blocks_0_attentions_1_transformer_blocks_0_ff_net_0_proj"
    weight = load_file(case.base / "unet" / "model.safetensors")[path + ".weight"].astype("f8")
    a1, a2, b1, b2 = tensor(8, 2), tensor(2, 8), tensor(64, 2), tensor(2, 8)
    glora = {name + ".a1.weight": a1, name + ".a2.weight": a2, name + ".b1.weight": b1, name + ".b2.weight": b2, name + ".alpha": np.float32(3)}
    want = {"unet." + path: 1.5 * (weight @ a1.astype("f8") @ a2 + b1.astype("f8") @ b2)}
    same(case.read(glora, "--base", case.base)[0], want, "GLoRA")
    old = {name + ".a1.weight": a2, name + ".a2.weight": a1, name + ".b1.weight": b2, name + ".b2.weight": b1, name + ".alpha": np.float32(3)}
    same(case.read(old, "--base", case.base)[0], want, "GLoRA of old")
    case.refuse("EX-3", case.file(glora), "peft", "--arch", "sd1")
    case.refuse("EX-8", case.file({**glora, name + ".a1.weight": a2, name + ".b1.weight": b1}), "peft", "--base", case.base)
    for on_input, shape in ((1, (1, 8)), (0, (64, 1))):
        vector = tensor(max(shape))
        file = case.file({name + ".weight": vector, name + ".on_input": np.int64(on_input)})
        folder = case.convert(file, "peft", "--base", case.base) / "unet"
        config, tensors = json.loads((folder / "adapter_config.json").read_text()), load_file(folder / "adapter_model.safetensors")
        assert config["peft_type"] == "IA3" and bool(config["feedforward_modules"]) == bool(on_input)
        assert np.array_equal(tensors[f"base_model.model.{path}.ia3_l"], (1 + vector.astype("f8")).astype("f4").reshape(shape))
    case.refuse("EX-3", file, "peft", "--arch", "sd1")
    case.refuse("EX-8", case.file({name + ".weight": tensor(7), name + ".on_input": np.int64(0)}), "peft", "--base", case.base)
    biased = load_file(case.base / "unet" / "model.safetensors")
    save_file({**biased, path + ".bias": tensor(64)}, case.base / "unet" / "model.safetensors")
    case.refuse("EX-3", file, "peft", "--base", case.base)


def check_sgm(case):
    names = {"input_blocks_0_0": "conv_in", "time_embed_0": "time_embedding.linear_1", "input_blocks_1_1_proj_in": "down_blocks.0.attentions.0.proj_in",
             "input_blocks_1_0_in_layers_2": "down_blocks.0.resnets.0.conv1", "input_blocks_1_0_emb_layers_1": "down_blocks.0.resnets.0.time_emb_proj",
             "input_blocks_1_1_transformer_blocks_0_attn1_to_out_0": "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0",
             "input_blocks_2_0_op": "down_blocks.0.downsamplers.0.conv", "middle_block_2_out_layers_3": "mid_block.resnets.1.conv2",
             "output_blocks_1_2_conv": "up_blocks.0.upsamplers.0.conv", "output_blocks_0_0_skip_connection": "up_blocks.0.resnets.0.conv_shortcut",
             "output_blocks_1_1_transformer_blocks_0_ff_net_0_proj": "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj"}
    tensors, want = {}, {}
    for name, path in names.items():
        own, want["unet." + path] = site("lora_unet_" + name, UNET[path], np.float32(2))
        tensors.update(own)
    same(case.read(tensors, "--base", case.base)[0], want, "SGM")
    case.refuse("EX-4", case.file(tensors), "peft")
    dotted, update = site("diffusion_model.input_blocks.1.1.proj_in", UNET["down_blocks.0.attentions.0.proj_in"])
    same(case.read(dotted, "--base", case.base)[0], {"unet.down_blocks.0.attentions.0.proj_in": update}, "ComfyUI")
    got, _ = case.read(*[site("lora_unet_input_blocks_4_1_proj_in", (8, 8))[0]], "--arch", "sdxl")
    assert list(got) == ["unet.down_blocks.1.attentions.0.proj_in"]


def check_flux(case):
    wide, hidden = 24, 6
    double, single = "transformer.transformer_blocks.3.", "transformer.single_transformer_blocks.0."
    a, b = tensor(4, hidden), tensor(3 * wide, 4)
    blocks = np.zeros((7 * wide, 8), "f4")
    sizes = [wide, wide, wide, 4 * wide]
    for number, start in enumerate(np.cumsum([0, *sizes[:3]])):
        blocks[start:start + sizes[number], 2 * number:2 * number + 2] = tensor(sizes[number], 2)
    a1, norm_a, norm_b = tensor(8, hidden), tensor(2, hidden), tensor(2 * wide, 2)
    tensors = {"double_blocks_3_img_attn_qkv": (a, b), "single_blocks_0_linear1": (a1, blocks), "final_layer_adaLN_modulation_1": (norm_a, norm_b)}
    file = {f"lora_unet_{name}.{leaf}": value for name, pair in tensors.items() for leaf, value in
            zip(("lora_down.weight", "lora_up.weight", "alpha"), (*pair, np.float32(2)))}
    parts = product(a, b) * 2 / 4
    want = {double + f"attn.to_{name}": parts[i * wide:(i + 1) * wide] for i, name in enumerate("qkv")}
    parts = product(a1, blocks) * 2 / 8
    for name, start, size in zip(("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"), np.cumsum([0, *sizes[:3]]), sizes):
        want[single + name] = parts[start:start + size]
    want["transformer.norm_out.linear"] = np.roll(product(norm_a, norm_b), wide, axis=0)
    peft = case.convert(case.file(file), "peft")
    same(read_peft(peft)[0], want, "Flux")
    config = json.loads((peft / "transformer" / "adapter_config.json").read_text())
    assert config["rank_pattern"], "blocks of B have a rank of their own"
    kohya = case.convert(peft, "kohya")
    assert load_file(kohya)["lora_unet_double_blocks_3_img_attn_qkv.lora_down.weight"].shape == (4, hidden), "A is shared"
    same(read_peft(case.convert(kohya, "peft"))[0], want, "Flux back")
    dotted = {key.replace("lora_unet_double_blocks_3_img_attn_", "diffusion_model.double_blocks.3.img_attn."): value for key, value in file.items() if "qkv" in key}
    same(case.read(dotted)[0], {path: value for path, value in want.items() if path.startswith(double)}, "ComfyUI")


def check_z_image(case):
    own, update = site("lora_unet_layers_0_attention_qkv", (24, 8), np.float32(6))
    more, out = site("lora_unet_layers_0_attention_out", (8, 8), np.float32(6))
    want = {f"transformer.layers.0.attention.to_{name}": update[8 * i:8 * i + 8] for i, name in enumerate("qkv")}
    want["transformer.layers.0.attention.to_out.0"] = out
    same(case.read({**own, **more})[0], want, "Z-Image")
    # Without a prefix its names are like those of Mistral's models.
    bare, update = site("layers.0.feed_forward.w1", (16, 8), words=("lora_A.weight", "lora_B.weight"))
    query, second = site("layers.0.attention.to_q", (8, 8), words=("lora_A.weight", "lora_B.weight"))
    same(case.read({**bare, **query})[0], {"transformer.layers.0.feed_forward.w1": update, "transformer.layers.0.attention.to_q": second}, "Z-Image without a prefix")
    # Anime-Z writes the fused projection and its parts, with dots for underscores.
    down, up = own["lora_unet_layers_0_attention_qkv.lora_down.weight"], own["lora_unet_layers_0_attention_qkv.lora_up.weight"]
    both = {}
    for name, rows in (("qkv", up), ("to.q", up[:8]), ("to.k", up[8:16]), ("to.v", up[16:])):
        both[f"diffusion_model.layers.0.attention.{name}.lora.down.weight"] = down
        both[f"diffusion_model.layers.0.attention.{name}.lora.up.weight"] = rows
    same(case.read(both)[0], {path: value / 2 for path, value in want.items() if "to_out" not in path}, "Anime-Z")
    both["diffusion_model.layers.0.attention.to.v.lora.up.weight"] = up[:8]
    case.refuse("EX-8", case.file(both), "peft")
    other, _ = site("lora_unet_layers_0_attention_qkv", (16, 8), np.float32(6))
    case.refuse("EX-4", case.file(other), "peft")
    case.refuse("EX-4", case.file(site("diffusion_model.blocks.0.unheard_of", (8, 8))[0]), "peft")


def check_language_models(case):
    """Text encoders that are language models: Qwen 3 of Anima, Gemma 2 of Lumina 2."""
    peft = ("lora_A.weight", "lora_B.weight")
    image, first = site("diffusion_model.blocks.0.mlp.layer1", (16, 8), words=peft)
    text, second = site("text_encoders.qwen3_06b.transformer.model.layers.0.self_attn.q_proj", (8, 8), words=peft)
    want = {"transformer.transformer_blocks.0.ff.net.0.proj": first, "text_encoder.layers.0.self_attn.q_proj": second}
    folder = case.convert(case.file({**image, **text}), "peft")
    same(read_peft(folder)[0], want, "ComfyUI's Anima")
    file = case.convert(folder, "kohya", "--arch", "cosmos")
    assert sorted(key for key in load_file(file) if key.endswith("alpha")) == ["lora_te_layers_0_self_attn_q_proj.alpha", "lora_unet_blocks_0_mlp_layer1.alpha"]
    same(read_peft(case.convert(file, "peft", "--arch", "anima"))[0], want, "Anima of kohya-ss")


def check_diffusers(case):
    path = "down_blocks.0.attentions.0.transformer_blocks.0.attn1."
    old, first = site(f"unet.{path}processor.to_q_lora", (8, 8), words=("down.weight", "up.weight"))
    old = {key.replace("_lora.", "_lora.", 1): value for key, value in old.items()}
    more, second = site(f"unet.{path}to_out.0", (8, 8), words=("lora.down.weight", "lora.up.weight"))
    text, third = site("text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora", (8, 8), words=("down.weight", "up.weight"))
    clip, fourth = site("text_encoder.text_model.encoder.layers.0.mlp.fc1", (16, 8), words=("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"))
    want = {f"unet.{path}to_q": first, f"unet.{path}to_out.0": second, "text_encoder.encoder.layers.0.self_attn.q_proj": third,
            "text_encoder.encoder.layers.0.mlp.fc1": fourth}
    same(case.read({**old, **more, **text, **clip}, "--base", case.base)[0], want, "old diffusers")
    peft = ("lora_A.weight", "lora_B.weight")
    own, update = site(f"unet.{path}to_q", (8, 8), words=peft)
    config = {"unet.r": 8, "unet.lora_alpha": 4, "unet.rank_pattern": {"to_q": 3}, "unet.alpha_pattern": {"attn1.to_q": 6}, "unet.use_rslora": True,
              "unet.target_modules": ["to_q"]}
    got, _ = case.read(own, metadata={"lora_adapter_metadata": json.dumps(config), "format": "pt"})
    same(got, {f"unet.{path}to_q": update * 6 / np.sqrt(3)}, "metadata")
    header = {"lora_adapter_metadata": json.dumps({**config, "unet.rank_pattern": {}})}
    case.refuse("EX-8", case.file(own, header), "peft")
    case.refuse("EX-8", case.file({**own, f"unet.{path}to_q.alpha": np.float32(1)}, {"lora_adapter_metadata": json.dumps(config)}), "peft")
    bare, update = site(f"{path}to_q", (8, 8), words=peft)
    got, _ = case.read(bare, metadata={"lora_adapter_metadata": json.dumps({"r": 3, "lora_alpha": 6, "target_modules": ["to_q"]})})
    same(got, {f"unet.{path}to_q": update * 2}, "save_lora_adapter")


def check_refusals(case):
    good, _ = site("lora_unet_conv_in", UNET["conv_in"], np.float32(2))
    flat = case.file(good)
    case.refuse("EX-4", flat, "peft")
    case.refuse("EX-9", case.file({**good, **site("lora_unet_down_blocks_7_proj_in", (8, 8))[0]}), "peft", "--base", case.base)
    case.refuse("EX-8", case.file({key: value for key, value in good.items() if "up" not in key}), "peft", "--base", case.base)
    case.refuse("EX-8", case.file({**good, "lora_unet_conv_in.alpha": np.zeros(2, "f4")}), "peft", "--base", case.base)
    case.refuse("EX-8", case.file({**good, "lora_unet_conv_in.lora_A.weight": good["lora_unet_conv_in.lora_down.weight"]}), "peft", "--base", case.base)
    case.refuse("EX-5", case.file({**good, "lora_unet_conv_in.lora_down.weight": np.zeros((3, 4, 3, 3), "i4")}), "peft", "--base", case.base)
    case.refuse("EX-5", case.file({**good, "lora_unet_conv_in.something": np.zeros(2, "f4")}), "peft", "--base", case.base)
    case.refuse("EX-2", case.file({**good, **site("unet.time_embedding.linear_1", (16, 8))[0]}), "peft", "--base", case.base)
    case.refuse("EX-11", case.file(site("lora_unet_time_embedding_linear_1", (16, 12))[0]), "peft", "--base", case.base)
    case.refuse("EX-3", case.file({"lora_unet_conv_in.oft_blocks": tensor(2, 4, 4), "lora_unet_conv_in.alpha": np.float32(0)}), "peft", "--base", case.base)
    timed = {"lora_unet_conv_in.q_layer.weight": tensor(2, 4), "lora_unet_conv_in.p_layer.weight": tensor(8, 2), "lora_unet_conv_in.lambda_layer": tensor(1, 2)}
    case.refuse("EX-3", case.file(timed), "peft", "--base", case.base)
    peft = case.convert(flat, "peft", "--base", case.base)
    config = json.loads((peft / "unet" / "adapter_config.json").read_text())
    tensors = load_file(peft / "unet" / "adapter_model.safetensors")
    save_file({**tensors, "base_model.model.conv_in.lora_B.bias": tensor(8)}, peft / "unet" / "adapter_model.safetensors")
    (peft / "unet" / "adapter_config.json").write_text(json.dumps({**config, "lora_bias": True}))
    case.refuse("EX-3", peft, "kohya")
    case.convert(peft, "diffusers")


def main():
    checks = (check_kohya, check_dora, check_methods, check_sgm, check_flux, check_z_image, check_language_models, check_diffusers, check_refusals)
    with tempfile.TemporaryDirectory() as folder:
        for check in checks:
            check(Case(pathlib.Path(folder) / check.__name__))
            print(check.__name__, flush=True)


if __name__ == "__main__":
    main()
