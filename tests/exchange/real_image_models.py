# SPDX-License-Identifier: Apache-2.0
"""real_image_models.py FERRULE: image adapters against diffusers, LyCORIS and PEFT themselves, on tiny random models.

lycoris-lora is installed beside the test's own packages, into a folder that goes when the test ends.
"""

import json
import logging
import pathlib
import subprocess
import sys
import tempfile

FERRULE = sys.argv[1]
LYCORIS = "lycoris-lora==4.1.3"
PROJECTIONS = ["proj_out", "to_v", "to_q", "ff.net.2", "ff.net.0.proj", "proj_in", "to_out.0", "to_k"]
CONVOLUTIONS = ["conv1", "conv2", "conv_shortcut", "conv_in", "time_emb_proj"]
UNET = {"block_out_channels": [12, 20], "layers_per_block": 1, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "sample_size": 8,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "cross_attention_dim": 10, "attention_head_dim": 4, "norm_num_groups": 4}


class Bench:
    def __init__(self, folder):
        import torch
        from diffusers import UNet2DConditionModel

        logging.disable(logging.WARNING)
        self.torch, self.folder, self.count = torch, folder, 0
        torch.manual_seed(2)
        self.base = folder / "base"
        UNet2DConditionModel(**UNET).save_pretrained(self.base)
        self.make = lambda: UNet2DConditionModel.from_pretrained(self.base).eval()

    def run(self, model):
        with self.torch.no_grad():
            self.torch.manual_seed(5)
            return model(self.torch.randn(1, 4, 8, 8), self.torch.tensor([7]), self.torch.randn(1, 3, 10)).sample

    def peft(self, folder):
        from peft import PeftModel

        return self.run(PeftModel.from_pretrained(self.make(), folder).eval())

    def convert(self, source, to, *options, refused=False):
        self.count += 1
        out = self.folder / f"out{self.count}{'.safetensors' if to in ('kohya', 'diffusers') else ''}"
        done = subprocess.run([FERRULE, "convert", source, "-o", out, "--to", to, "--json", *map(str, options)], capture_output=True, text=True, check=False)
        assert done.returncode == int(refused), (to, done.stderr)
        return out

    def same(self, got, want, title, tolerance=2e-6):
        error = (got - want).abs().max().item()
        assert error < tolerance, (title, error)
        print(f"{title}: {error:.0e}", flush=True)


def check_diffusers(bench):
    """What PEFT trained, through our diffusers and kohya files, in diffusers' own loader."""
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as loader
    from diffusers.utils import convert_state_dict_to_kohya
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
    from safetensors.torch import save_file

    plain = bench.run(bench.make())
    # Loading kohya's form, diffusers drops magnitudes, and alphas of attention that differ.
    for title, kohya, config in (("alpha", True, {"lora_alpha": 12}), ("rsLoRA", True, {"use_rslora": True, "lora_alpha": 6}),
                                 ("patterns", False, {"rank_pattern": {"to_q": 8}, "alpha_pattern": {"to_k": 1, "proj_out": 7.5}}),
                                 ("convolutions", True, {"target_modules": PROJECTIONS + CONVOLUTIONS}),
                                 ("DoRA", False, {"use_dora": True, "target_modules": ["conv1", "to_q"]}),
                                 ("bias", None, {"lora_bias": True, "target_modules": ["to_out.0", "proj_in"]})):
        model = get_peft_model(bench.make(), LoraConfig(**{"r": 4, "lora_alpha": 4, "target_modules": PROJECTIONS, **config})).eval()
        bench.torch.manual_seed(3)
        for name, parameter in model.named_parameters():
            if "lora_magnitude" in name:
                parameter.data *= 1 + 0.1 * bench.torch.rand_like(parameter)
            elif "lora_" in name:
                parameter.data = bench.torch.randn_like(parameter) * 0.2
        source = bench.folder / title
        model.save_pretrained(source / "unet")
        want = bench.run(model)
        assert (want - plain).abs().max() > 0.1
        for to in ["diffusers"] + ["kohya"] * (kohya is not None):
            file = bench.convert(source, to)
            if kohya or to == "diffusers":
                state, alphas, metadata = loader.lora_state_dict(str(file), return_lora_metadata=True, unet_config=bench.make().config)
                unet = bench.make()
                loader.load_lora_into_unet(state, alphas, unet, metadata=metadata, adapter_name="a")
                bench.same(bench.run(unet), want, f"{title}, our {to} in diffusers")
            bench.same(bench.peft(bench.convert(file, "peft", "--base", bench.base) / "unet"), want, f"{title}, {to} and back")
        if title == "alpha":
            state = {"unet." + key.removeprefix("base_model.model."): value for key, value in get_peft_model_state_dict(model).items()}
            file = bench.folder / "theirs.safetensors"
            save_file(convert_state_dict_to_kohya(state), file)
            state, alphas = loader.lora_state_dict(str(file), unet_config=bench.make().config)
            unet = bench.make()
            loader.load_lora_into_unet(state, alphas, unet, adapter_name="a")
            bench.same(bench.peft(bench.convert(file, "peft", "--base", bench.base) / "unet"), bench.run(unet), "diffusers' kohya (alpha = rank)")


METHODS = {"lora": {}, "DoRA by rows": {"dora_wd": True}, "DoRA by columns": {"dora_wd": True, "wd_on_output": False}, "rsLoRA": {"rs_lora": True},
           "core": {"use_tucker": True}, "loha": {"algo": "loha"}, "loha with a core": {"algo": "loha", "use_tucker": True}, "lokr": {"algo": "lokr"},
           "lokr, whole": {"algo": "lokr", "full_matrix": True}, "lokr, both factors": {"algo": "lokr", "decompose_both": True, "linear_dim": 2, "conv_dim": 2, "factor": 4},
           "lokr, unbalanced": {"algo": "lokr", "unbalanced_factorization": True, "factor": 4, "linear_dim": 2, "conv_dim": 2}, "scalar": {"use_scalar": True},
           "DoRA on loha": {"algo": "loha", "dora_wd": True}, "DoRA on lokr": {"algo": "lokr", "dora_wd": True, "factor": 4, "linear_dim": 2, "conv_dim": 2}, "full": {"algo": "full"}, "glora": {"algo": "glora"}, "diag-oft": {"algo": "diag-oft"},
           "ia3": {"algo": "ia3"}, "glora of attention": {"algo": "glora"}, "ia3 of inputs": {"algo": "ia3"}}
# GLoRA on convolutions, and IA3 on outputs of layers with biases.
REFUSED = {"DoRA by columns", "glora", "diag-oft", "ia3"}
READ = {"full", "glora of attention", "ia3 of inputs"}


def check_lycoris(bench):
    """What LyCORIS wrote, in PEFT, and back in LyCORIS."""
    from lycoris import LycorisNetwork, create_lycoris, create_lycoris_from_weights

    for title, options in METHODS.items():
        some = title in ("glora of attention", "ia3 of inputs")
        LycorisNetwork.apply_preset({"target_module": ["BasicTransformerBlock"] if some else ["Transformer2DModel", "ResnetBlock2D", "Downsample2D"],
                                     "module_algo_map": {"BasicTransformerBlock": {"train_on_input": True}} if title == "ia3 of inputs" else {}})
        model = bench.make()
        network = create_lycoris(model, multiplier=1.0, **{"linear_dim": 4, "linear_alpha": 6, "conv_dim": 4, "conv_alpha": 6, "algo": "lora", **options})
        network.apply_to()
        bench.torch.manual_seed(3)
        for name, parameter in network.named_parameters():
            if "dora_scale" in name:
                parameter.data *= 1 + 0.1 * bench.torch.rand_like(parameter)
            elif title == "full":
                parameter.data += bench.torch.randn_like(parameter) * 0.02
            else:
                parameter.data = bench.torch.randn_like(parameter) * 0.2
        network.eval()
        want = bench.run(model)
        file = bench.folder / "lycoris.safetensors"
        network.save_weights(str(file), bench.torch.float32, {})
        network.restore()
        if title in REFUSED:
            bench.convert(file, "peft", "--base", bench.base, refused=True)
            continue
        peft = bench.convert(file, "peft", "--base", bench.base)
        bench.same(bench.peft(peft), want, f"LyCORIS, {title}")
        if title in READ:
            continue  # PEFT has them in a form that LyCORIS does not have: biases of LoRA, IA3 with biases.
        folder = bench.convert(peft, "lycoris", "--base", bench.base)
        model = bench.make()
        network, _ = create_lycoris_from_weights(1.0, str(folder / "lycoris.safetensors"), model)
        network.apply_to()
        bench.same(bench.run(model), want, f"LyCORIS, {title}, back")


def numbers(torch, *shape):
    return torch.randn(*shape) * 0.3


def lora(torch, name, inner, outer, alpha=2.0, words=("lora_down", "lora_up")):
    out = {f"{name}.{words[0]}.weight": numbers(torch, 4, inner), f"{name}.{words[1]}.weight": numbers(torch, outer, 4)}
    return {**out, name + ".alpha": torch.tensor(alpha)} if alpha is not None else out


def lokr(torch, name, outer, inner):
    return {name + ".lokr_w1": numbers(torch, 4, 4), name + ".alpha": torch.tensor(4.0), name + ".lokr_w2_a": numbers(torch, outer // 4, 2),
            name + ".lokr_w2_b": numbers(torch, 2, inner // 4)}


def transformer_files(torch):
    """(title, --arch, diffusers' reader, tensors) in the spellings of several trainers."""
    from diffusers.loaders import lora_pipeline as loaders

    flux = {}
    for name, inner, outer in (("double_blocks_0_img_attn_proj", 48, 48), ("double_blocks_0_img_attn_qkv", 48, 144), ("double_blocks_0_img_mlp_0", 48, 192),
                               ("double_blocks_0_img_mod_lin", 48, 288), ("double_blocks_0_txt_attn_qkv", 48, 144), ("double_blocks_0_txt_mlp_2", 192, 48),
                               ("single_blocks_1_linear1", 8, 21504), ("single_blocks_1_linear2", 240, 48), ("single_blocks_1_modulation_lin", 48, 144)):
        flux.update(lora(torch, "lora_unet_" + name, inner, outer))
    yield "Flux, kohya", loaders.FluxLoraLoaderMixin, flux
    # Their alpha equals the rank: diffusers ignores another one in final_layer.
    ends = {}
    for name, inner, outer in (("img_in", 16, 48), ("txt_in", 32, 48), ("time_in_in_layer", 16, 48), ("vector_in_in_layer", 16, 48),
                               ("final_layer_linear", 48, 16), ("final_layer_adaLN_modulation_1", 48, 96)):
        ends.update(lora(torch, "lora_unet_" + name, inner, outer, 4.0))
    yield "Flux, ends", loaders.FluxLoraLoaderMixin, {**flux, **ends}
    mixed = {}
    for name in ("transformer_blocks_0_attn_to_q", "single_transformer_blocks_3_attn_to_k", "transformer_blocks_0_attn_add_q_proj", "x_embedder"):
        mixed.update(lora(torch, "lora_transformer_" + name, 16, 16))
    yield "Flux, OneTrainer", loaders.FluxLoraLoaderMixin, mixed
    flux2, kronecker, lycoris = {}, {}, {}
    for name, inner, outer in (("double_blocks.0.img_attn.qkv", 48, 144), ("double_blocks.0.txt_attn.proj", 48, 48), ("double_blocks.0.img_mlp.0", 48, 288),
                               ("single_blocks.0.linear1", 48, 432), ("single_blocks.0.linear2", 192, 48), ("time_in.in_layer", 16, 48)):
        flux2.update(lora(torch, "diffusion_model." + name, inner, outer, None, ("lora_A", "lora_B")))
        kronecker.update(lokr(torch, "diffusion_model." + name, outer, inner))
    yield "Flux 2, ai-toolkit", loaders.Flux2LoraLoaderMixin, flux2
    yield "Flux 2, LoKr of ai-toolkit", loaders.Flux2LoraLoaderMixin, kronecker
    for name, outer in (("transformer_blocks_0_attn_to_q", 48), ("single_transformer_blocks_0_attn_to_qkv_mlp_proj", 432)):
        lycoris.update(lokr(torch, "lycoris_" + name, outer, 48))
    yield "Flux 2, LoKr of LyCORIS", loaders.Flux2LoraLoaderMixin, lycoris
    yield "Flux 2, LoKr without a prefix", loaders.Flux2LoraLoaderMixin, {**lokr(torch, "transformer_blocks.0.attn.to_q", 48, 48)}
    z_image = {}
    for name, inner, outer in (("layers_0_attention_qkv", 48, 144), ("layers_0_attention_out", 48, 48), ("noise_refiner_0_feed_forward_w1", 48, 96)):
        z_image.update(lora(torch, "lora_unet_" + name, inner, outer))
    yield "Z-Image, kohya", loaders.ZImageLoraLoaderMixin, {key.replace("lora_down", "lora.down").replace("lora_up", "lora.up"): value for key, value in z_image.items()}
    names = (("layers.0.attention.to_q", 48), ("layers.0.feed_forward.w1", 96), ("layers.0.adaLN_modulation.0", 96))
    yield "Z-Image, LoKr", loaders.ZImageLoraLoaderMixin, {key: value for name, outer in names for key, value in lokr(torch, "diffusion_model." + name, outer, 48).items()}


def updates(torch, tensors, strength):
    """{path: update} of LoRA and LoKr in PEFT's names."""
    modules, out = {}, {}
    for key, value in tensors.items():
        key = key.removesuffix(".weight")
        path, leaf = key.rsplit(".", 1)
        modules.setdefault(path, {})[leaf] = value.double()
    for path, own in modules.items():
        if "lora_A" in own:
            out[path] = strength(path) * (own["lora_B"] @ own["lora_A"])
        else:
            second = own["lokr_w2"] if "lokr_w2" in own else own["lokr_w2_a"] @ own["lokr_w2_b"]
            out[path] = strength(path) * torch.kron(own["lokr_w1"], second)
    return out


def check_transformers(bench):
    """diffusers' own conversions of other trainers' files."""
    import re

    from safetensors.torch import load_file, save_file

    for title, loader, tensors in transformer_files(bench.torch):
        file = bench.folder / "transformer.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, file)
        state = loader.lora_state_dict({key: value.clone() for key, value in tensors.items()})
        state = {key.removeprefix("transformer."): value for key, value in state.items()}
        want = updates(bench.torch, state, lambda path: 1)
        folder = bench.convert(file, "peft") / "transformer"
        config = json.loads((folder / "adapter_config.json").read_text())

        def look_up(table, path, default):
            return next((value for key, value in table.items() if re.match(rf"(.*\.)?({key})$", path)), default)

        def strength(path):
            alpha = look_up(config["alpha_pattern"], path, config.get("lora_alpha", config.get("alpha")))
            return alpha / look_up(config["rank_pattern"], path, config["r"])

        ours = {key.removeprefix("base_model.model."): value for key, value in load_file(folder / "adapter_model.safetensors").items()}
        got = updates(bench.torch, ours, strength)
        assert sorted(got) == sorted(want), (title, sorted(set(got) ^ set(want)))
        for path in want:
            assert (got[path] - want[path]).norm() <= 2e-6 * want[path].norm(), (title, path)
        print(title, flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        packages = pathlib.Path(folder) / "packages"
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", packages, "--no-deps", LYCORIS, "einops==0.8.1", "toml==0.10.2"], check=True)
        sys.path.append(str(packages))
        for check in (check_transformers, check_diffusers, check_lycoris):
            below = pathlib.Path(folder) / check.__name__
            below.mkdir()
            check(Bench(below))


if __name__ == "__main__":
    main()
