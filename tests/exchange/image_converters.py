# SPDX-License-Identifier: Apache-2.0
"""image_converters.py FERRULE: image and video models in the spellings of several trainers, compared with the converters of diffusers.

diffusers reads LoRA files in the names of each model's own code (loaders/lora_conversion_utils.py). It is given the same
file as Ferrule, and the updates of all modules are compared. image_families.py does so for all models.
"""

import pathlib
import tempfile

import torch
from diffusers import loaders
from image_names import (KOHYA, compare_files, compare_written, convert, dotted, flat, flux_names, lora, qwen_names, read, refuse, same, updates_of, wan_names)
from safetensors.torch import load_file, save_file


def check_files(folder):
    pipelines = loaders.lora_pipeline
    compare_files(folder, (("Wan of musubi-tuner", pipelines.WanLoraLoaderMixin, flat(wan_names(True))),
                           ("Flux of ComfyUI", pipelines.FluxLoraLoaderMixin, dotted(flux_names(), leaves=KOHYA, alpha=3.0)),
                           ("Qwen-Image", pipelines.QwenImageLoraLoaderMixin, dotted(qwen_names()))))


def check_written(folder):
    compare_written(folder, [("flux", loaders.lora_pipeline.FluxLoraLoaderMixin, dotted(flux_names(), leaves=KOHYA, alpha=3.0))])


def check_methods(folder):
    """Methods, types and differences that PEFT holds in another form."""
    wan = flat(wan_names())
    want = updates_of(loaders.lora_pipeline.WanLoraLoaderMixin.lora_state_dict(dict(wan)))
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        small = {key: value.to(dtype) if key.endswith("weight") else value for key, value in wan.items()}
        plain = {key: value.float() for key, value in small.items()}
        same(read(folder, small), updates_of(loaders.lora_pipeline.WanLoraLoaderMixin.lora_state_dict(plain)), str(dtype))
    zeros = {"lora_unet_blocks_0_norm3.diff": torch.zeros(16), "lora_unet_blocks_0_norm3.diff_b": torch.zeros(16), "lora_unet_blocks_0_self_attn_norm_q.w_norm": torch.zeros(16),
             "lora_unet_blocks_0_self_attn_q.diff_b": torch.zeros(16)}
    same(read(folder, {**wan, **zeros}), want, "zeros")
    refuse(folder, "EX-3", {**wan, "lora_unet_blocks_0_norm3.w_norm": torch.ones(16)})
    refuse(folder, "EX-3", {**wan, "lora_unet_blocks_0_norm3.diff": torch.ones(16)})
    # Embeddings: PEFT has factors of the transposed matrix. Extracted adapters have zeros there.
    position = lora("text_encoders.clip_l.transformer.text_model.embeddings.position_embedding", 8, 77, leaves=KOHYA)
    comfy = dotted(flux_names(), leaves=KOHYA)
    folder_of = folder / "embedding"
    save_file({**comfy, **position}, folder / "embedding.safetensors")
    convert(folder / "embedding.safetensors", folder_of, "peft")
    tensors = load_file(folder_of / "text_encoder" / "adapter_model.safetensors")
    a, b = (tensors[f"base_model.model.text_model.embeddings.position_embedding.lora_embedding_{x}"] for x in "AB")
    down, up = position.values()
    assert torch.allclose((b @ a).T, up @ down, atol=1e-6)
    same(read(folder, {**comfy, **{key: torch.zeros_like(value) for key, value in position.items()}}),
         updates_of(loaders.lora_pipeline.FluxLoraLoaderMixin.lora_state_dict(dict(comfy))), "embedding of zeros")
    # Kronecker products on fused projections: rows are divided.
    first, second_a, second_b = torch.randn(4, 4), torch.randn(12, 2), torch.randn(2, 8)
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    flux = {name + ".lokr_w1": first, name + ".lokr_w2_a": second_a, name + ".lokr_w2_b": second_b, name + ".alpha": torch.tensor(3.0),
            **lora("lora_unet_double_blocks_0_img_mod_lin", 8, 48, leaves=KOHYA)}
    update = 1.5 * torch.kron(first.double(), second_a.double() @ second_b.double())
    got = read(folder, flux)
    same({path: value for path, value in got.items() if "attn" in path}, {f"transformer.transformer_blocks.0.attn.to_{x}": update[i * 16:i * 16 + 16] for i, x in enumerate("qkv")},
         "LoKr on a fused projection")
    # LoHa and LoKr beside LoRA: PEFT has one method for a model.
    hada = {"hada_w1_a": torch.randn(16, 2), "hada_w1_b": torch.randn(2, 16), "hada_w2_a": torch.randn(16, 3), "hada_w2_b": torch.randn(3, 16)}
    mixed = {**lora("lora_unet_blocks_0_self_attn_q", 16, 16, 1.0, leaves=KOHYA), **{"lora_unet_blocks_0_self_attn_k." + key: value for key, value in hada.items()},
             "lora_unet_blocks_0_self_attn_k.alpha": torch.tensor(1.0), "lora_unet_blocks_0_self_attn_v.lokr_w1_a": torch.randn(4, 2), "lora_unet_blocks_0_self_attn_v.lokr_w1_b": torch.randn(2, 4),
             "lora_unet_blocks_0_self_attn_v.lokr_w2": torch.randn(4, 4)}
    double = {key.removeprefix("lora_unet_blocks_0_self_attn_"): value.double() for key, value in mixed.items()}
    want = {"transformer.blocks.0.attn1.to_q": double["q.lora_up.weight"] @ double["q.lora_down.weight"] / 2,
            "transformer.blocks.0.attn1.to_k": (double["k.hada_w1_a"] @ double["k.hada_w1_b"]) * (double["k.hada_w2_a"] @ double["k.hada_w2_b"]) / 2,
            "transformer.blocks.0.attn1.to_v": torch.kron(double["v.lokr_w1_a"] @ double["v.lokr_w1_b"], double["v.lokr_w2"])}
    same(read(folder, mixed), want, "three methods")


def check_refusals(folder):
    wan = flat(wan_names())
    flux = lora("lora_unet_double_blocks_0_img_attn_qkv", 8, 24, leaves=KOHYA)
    refuse(folder, "EX-4", {**wan, **flux})
    refuse(folder, "EX-9", {**wan, **lora("lora_unet_blocks_0_self_attn_z", 8, 8, leaves=KOHYA)})
    refuse(folder, "EX-9", wan, "--arch", "flux")
    assert len(read(folder, flux, metadata={"modelspec.architecture": "wan2.1/lora"})) == 3, "names win over the header"
    refuse(folder, "EX-8", {key: value for key, value in wan.items() if key != "lora_unet_blocks_0_self_attn_q.lora_up.weight"})
    refuse(folder, "EX-2", {**wan, **dotted({"blocks.0.self_attn.q": (16, 16)})})
    refuse(folder, "EX-4", dotted({"blocks.0.unheard_of": (8, 8)}))
    # Lumina 2 and Z-Image have the same names here, for modules that diffusers calls differently.
    shared = flat({"layers.0.feed_forward.w1": (8, 8), "layers.0.attention.out": (8, 8)})
    refuse(folder, "EX-4", shared)
    got = read(folder, shared, metadata={"modelspec.architecture": "lumina-2/lora"})
    assert sorted(got) == ["transformer.layers.0.attn.to_out.0", "transformer.layers.0.feed_forward.linear_1"]
    got = read(folder, shared, metadata={"ss_base_model_version": "z_image"})
    assert sorted(got) == ["transformer.layers.0.attention.to_out.0", "transformer.layers.0.feed_forward.w1"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        for check in (check_files, check_written, check_methods, check_refusals):
            below = pathlib.Path(folder) / check.__name__
            below.mkdir()
            check(below)


if __name__ == "__main__":
    main()
