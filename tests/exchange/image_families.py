# SPDX-License-Identifier: Apache-2.0
"""image_families.py FERRULE: names of all image and video models, compared with the converters of diffusers.

As image_converters.py does; and whole checkpoints (loaders/single_file_utils.py) get the updates as their weights, which
diffusers renames, cuts and swaps. The modules of diffusers' own models must be found under their flattened names.
"""

import pathlib
import re
import tempfile

import torch
from diffusers import loaders, models
from diffusers.loaders import single_file_utils
from image_names import (KOHYA, compare_files, compare_written, convert, dotted, flat, flux_names, hunyuan_names, lora, qwen_names, read_peft, same, wan_names)
from safetensors.torch import save_file


def wan_files():
    mixin = loaders.lora_pipeline.WanLoraLoaderMixin
    yield "Wan", mixin, dotted(wan_names())
    yield "Wan with alpha", mixin, dotted(wan_names(True), alpha=3.0, leaves=KOHYA)
    yield "Wan of musubi-tuner", mixin, flat(wan_names(True))
    ends = {"time_projection.1": (8, 48), "head.head": (8, 12), "img_emb.proj.1": (8, 8), "img_emb.proj.3": (8, 8)}
    ends.update({f"{kind}_embedding.{i}": (8, 8) for kind in ("text", "time") for i in (0, 2)})
    full = dotted({**wan_names(), **ends}, leaves=KOHYA)
    full.update({key.replace("lora_up.weight", "diff_b"): torch.randn(value.shape[0]) for key, value in full.items() if key.endswith("lora_up.weight")})
    for i in range(2):
        full[f"diffusion_model.blocks.{i}.norm3.diff"] = torch.zeros(16)
        full[f"diffusion_model.blocks.{i}.self_attn.norm_q.diff"] = torch.zeros(16)
    yield "Wan with biases and ends", mixin, full
    head = {"diffusion_model.head.head.diff": torch.randn(12, 8), "diffusion_model.head.head.diff_b": torch.randn(12)}
    yield "Wan with a whole head", mixin, {**dotted(wan_names()), **head}


class Respelled:
    """diffusers' reader of a file in names that it does not know."""

    def __init__(self, mixin, tensors):
        self.mixin, self.tensors = mixin, tensors

    def lora_state_dict(self, _):
        return self.mixin.lora_state_dict(dict(self.tensors))


def comfy_hunyuan(name):
    """ComfyUI's name, which is like Flux's."""
    for old, new in (("_attn_qkv", "_attn.qkv"), ("_attn_proj", "_attn.proj"), ("mlp.fc1", "mlp.0"), ("mlp.fc2", "mlp.2"), ("mod.linear", "mod.lin"),
                     ("modulation.linear", "modulation.lin"), ("_in.mlp.0", "_in.in_layer"), ("_in.mlp.2", "_in.out_layer"), ("c_embedder.linear_1", "c_embedder.in_layer"),
                     ("c_embedder.linear_2", "c_embedder.out_layer"), ("t_embedder.mlp.0", "t_embedder.in_layer"), ("t_embedder.mlp.2", "t_embedder.out_layer")):
        name = name.replace(old, new)
    return name


def lora_files():
    """(title, the mixin that loads it, tensors)"""
    pipelines = loaders.lora_pipeline
    yield from wan_files()
    yield "HunyuanVideo", pipelines.HunyuanVideoLoraLoaderMixin, dotted(hunyuan_names(), "")
    yield "HunyuanVideo behind transformer.", pipelines.HunyuanVideoLoraLoaderMixin, dotted(hunyuan_names(), "transformer.")
    hunyuan = dotted(hunyuan_names(), "")
    comfy = {"diffusion_model." + comfy_hunyuan(key): value for key, value in hunyuan.items()}
    yield "HunyuanVideo of ComfyUI", Respelled(pipelines.HunyuanVideoLoraLoaderMixin, hunyuan), comfy, "--arch", "hunyuan-video"
    yield "Qwen-Image", pipelines.QwenImageLoraLoaderMixin, dotted(qwen_names())
    yield "Qwen-Image of musubi-tuner", pipelines.QwenImageLoraLoaderMixin, flat(qwen_names())
    yield "Qwen-Image with alpha", pipelines.QwenImageLoraLoaderMixin, dotted(qwen_names(), "", 3.0, KOHYA)
    ltx = {f"transformer_blocks.0.attn{i}.{x}": (8, 8) for i in (1, 2) for x in ("to_q", "to_k", "to_v", "to_out.0")}
    ltx.update({"transformer_blocks.0.ff.net.0.proj": (8, 32), "transformer_blocks.0.ff.net.2": (32, 8)})
    yield "LTX", pipelines.LTXVideoLoraLoaderMixin, dotted(ltx)
    names = "patchify_proj audio_patchify_proj proj_out audio_proj_out caption_projection.linear_1".split()
    for adaln in "adaln_single audio_adaln_single av_ca_video_scale_shift_adaln_single av_ca_a2v_gate_adaln_single av_ca_v2a_gate_adaln_single".split():
        names += [adaln + "." + x for x in ("linear", "emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_2")]
    for attention in "audio_attn1 audio_attn2 audio_to_video_attn video_to_audio_attn".split():
        names += [f"transformer_blocks.3.{attention}.{x}" for x in ("to_q", "to_k", "to_v", "to_out.0")]
    ltx2 = {**dotted({**ltx, **dict.fromkeys(names, (8, 8))}), **lora("text_embedding_projection.aggregate_embed", 8, 8)}
    yield "LTX-2", pipelines.LTX2LoraLoaderMixin, ltx2
    lumina = {}
    for block, norm in (("layers.0", True), ("noise_refiner.0", True), ("context_refiner.0", False)):
        lumina.update({block + ".attention.qkv": (2304, 3840), block + ".attention.out": (8, 8), **{f"{block}.feed_forward.w{i}": (8, 8) for i in (1, 2, 3)}})
        if norm:
            lumina[block + ".adaLN_modulation.1"] = (8, 32)
    yield "Lumina 2", pipelines.Lumina2LoraLoaderMixin, dotted(lumina)
    hidream = {f"double_stream_blocks.0.block.attn1.{x}": (8, 8) for x in ("to_q", "to_k_t", "to_out")}
    hidream.update({"double_stream_blocks.0.block.ff_i.experts.3.w1": (8, 8), "single_stream_blocks.7.block.ff_i.shared_experts.w2": (8, 8), "caption_projection.5.linear": (8, 8)})
    yield "HiDream", pipelines.HiDreamImageLoraLoaderMixin, dotted(hidream)
    anima = {f"blocks.0.{x}": (8, 8) for x in "self_attn.q_proj self_attn.output_proj cross_attn.k_proj cross_attn.v_proj mlp.layer1 mlp.layer2".split()}
    anima.update({f"blocks.0.adaln_modulation_{x}.{i}": (8, 8) for x in ("self_attn", "cross_attn", "mlp") for i in (1, 2)})
    anima.update({"final_layer.linear": (8, 4), "x_embedder.proj.1": (8, 8), "llm_adapter.blocks.0.self_attn.q_proj": (8, 8)})
    yield "Anima", pipelines.AnimaLoraLoaderMixin, dotted(anima)
    krea = {f"blocks.0.attn.{x}": (8, 8) for x in "wq wk wv wo gate".split()}
    krea.update({f"txtfusion.layerwise_blocks.1.mlp.{x}": (8, 8) for x in "gate up down".split()})
    krea.update(dict.fromkeys("first last.linear tmlp.0 tmlp.2 tproj.1 txtmlp.1 txtmlp.3 txtfusion.projector".split(), (8, 8)))
    for prefix in ("diffusion_model.", "base_model.model."):
        yield "Krea 2 behind " + prefix, pipelines.Krea2LoraLoaderMixin, dotted(krea, prefix)
    ideogram = {f"layers.0.{x}": (8, 8) for x in "attention.o feed_forward.w1 feed_forward.w2 feed_forward.w3 adaln_modulation".split()}
    yield "Ideogram 4", pipelines.Ideogram4LoraLoaderMixin, dotted({**ideogram, "layers.0.attention.qkv": (8, 24)}, alpha=1.0, leaves=KOHYA)
    yield from flux_files()
    minimax = {}
    for block in ("blocks.0", "token_refiner.blocks.0"):
        minimax.update({block + ".attn.qkv_proj": (8, 24), block + ".attn.out_proj": (8, 8), block + ".mlp.fc1": (8, 32), block + ".mlp.fc2": (16, 8)})
    minimax.update({"blocks.0.adaln_proj.linear": (8, 8), "condition_proj": (8, 8), "time_embedder.proj_in": (8, 8), "final_layer.video_out": (8, 8)})
    yield "MiniMax-H3", pipelines.MiniMaxH3LoraLoaderMixin, dotted(minimax)
    heads = {"blocks.0.attn.qkv_proj": (8, 768), "blocks.0.attn.out_proj": (256, 8)}
    diffsynth = {key.replace(".weight", ".default.weight"): value for key, value in dotted(heads, "").items()}
    yield "MiniMax-H3 of DiffSynth-Studio", pipelines.MiniMaxH3LoraLoaderMixin, diffsynth
    yield "MiniMax-H3 of musubi-tuner", pipelines.MiniMaxH3LoraLoaderMixin, flat(minimax)
    ernie = {f"layers.0.{x}": (8, 8) for x in "self_attention.to_q self_attention.to_out.0 mlp.gate_proj mlp.linear_fc2".split()}
    yield "ERNIE-Image", pipelines.ErnieImageLoraLoaderMixin, dotted(ernie)
    ace = {f"layers.0.{x}": (8, 8) for x in "self_attn.q_proj self_attn.o_proj cross_attn.k_proj cross_attn.v_proj".split()}
    yield "ACE-Step", pipelines.AceStepLoraLoaderMixin, dotted(ace, "base_model.model."), "--arch", "ace-step", "--from", "diffusers"
    flux3 = {f"{block}.0.{x}": (8, 8) for block in ("content_mode_blocks.image", "single_blocks") for x in "q_proj k_proj v_proj attn_out mlp_in mlp_out".split()}
    yield "Flux 3", pipelines.Flux3LoraLoaderMixin, dotted(flux3)


def flux_files():
    mixin, flux2 = loaders.lora_pipeline.FluxLoraLoaderMixin, loaders.lora_pipeline.Flux2LoraLoaderMixin
    xlabs = {}
    for name, inner, outer in (("double_blocks.3.processor.qkv_lora1", 8, 24), ("double_blocks.3.processor.qkv_lora2", 8, 24), ("double_blocks.3.processor.proj_lora1", 8, 8),
                               ("double_blocks.3.processor.proj_lora2", 8, 8), ("single_blocks.0.processor.qkv_lora", 8, 24), ("single_blocks.0.processor.proj_lora", 8, 8)):
        xlabs.update({f"{name}.down.weight": torch.randn(2, inner), f"{name}.up.weight": torch.randn(outer, 2)})
    yield "Flux of XLabs", mixin, xlabs
    yield "Flux of XLabs behind diffusion_model.", mixin, {"diffusion_model." + key: value for key, value in xlabs.items()}
    yield "Flux", mixin, flat(flux_names())
    yield "Flux of ComfyUI", mixin, dotted(flux_names(), leaves=KOHYA, alpha=3.0)
    blocks = {re.sub(r"_blocks\.\d+", f"_blocks.{i}", name): size for name, size in flux_names().items() for i in range(19 if "double" in name else 38)}
    kontext = {**blocks, "final_layer.linear": (8, 4)}
    yield "Flux of fal", mixin, dotted(kontext, "base_model.model.", rank=1)
    ends = {name: (8, 8) for name in "img_in txt_in time_in.in_layer time_in.out_layer vector_in.in_layer vector_in.out_layer final_layer.adaLN_modulation.1".split()}
    control = dotted({**kontext, **ends}, "")
    # diffusers also swaps halves of A, which changes nothing if they are equal.
    control["final_layer.adaLN_modulation.1.lora_A.weight"] = torch.randn(1, 8).repeat(2, 1)
    for i in range(38):
        for kind in ("query", "key"):
            control[f"single_blocks.{i}.norm.{kind}_norm.scale"] = torch.randn(4)
            if i < 19:
                control.update({f"double_blocks.{i}.{x}_attn.norm.{kind}_norm.scale": torch.randn(4) for x in ("img", "txt")})
    yield "Flux for control", mixin, control
    names = {"double_blocks.0.img_attn.qkv": (48, 144), "double_blocks.0.txt_attn.proj": (48, 48), "double_blocks.0.img_mlp.0": (48, 288),
             "single_blocks.0.linear1": (48, 432), "single_blocks.0.linear2": (192, 48), "time_in.in_layer": (16, 48)}
    yield "Flux 2 of kohya-ss", flux2, flat(names)
    yield "Flux 2 behind base_model.model.", flux2, dotted(names, "base_model.model.")
    yield "Flux 2 with a short name", flux2, dotted({"sformer_blocks.0.attn.to_q": (8, 8), "single_transformer_blocks.0.attn.to_out": (8, 8)})


def check_lora_files(folder):
    compare_files(folder, lora_files())


def checkpoint_names():
    """(title, converter, names and sizes of the original, other weights that it wants, --arch)"""
    sd3 = {}
    for i in range(2):
        last = i == 1
        for kind in ("x", "context"):
            block = f"joint_blocks.{i}.{kind}_block."
            sd3.update({block + "attn.qkv": (8, 24), block + "adaLN_modulation.1": (8, 16 if last and kind == "context" else 48)})
            if not last or kind == "x":
                sd3.update({block + "attn.proj": (8, 8), block + "mlp.fc1": (8, 32), block + "mlp.fc2": (32, 8)})
        sd3.update({f"joint_blocks.{i}.x_block.attn2.qkv": (8, 24), f"joint_blocks.{i}.x_block.attn2.proj": (8, 8)})
    sd3.update({"t_embedder.mlp.0": (8, 8), "t_embedder.mlp.2": (8, 8), "y_embedder.mlp.0": (8, 8), "y_embedder.mlp.2": (8, 8), "context_embedder": (8, 8),
                "final_layer.linear": (8, 8), "final_layer.adaLN_modulation.1": (8, 16), "x_embedder.proj": (8, 8)})
    yield "SD3", single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers, sd3, {"pos_embed": (1,)}, "sd3"
    mochi = {}
    for i in range(48):
        last = i == 47
        sizes = {"mod_x": (8, 32), "mod_y": (8, 16), "attn.qkv_x": (8, 24), "attn.qkv_y": (8, 24), "attn.proj_x": (8, 8), "attn.proj_y": (8, 8), "mlp_x.w1": (8, 32),
                 "mlp_x.w2": (16, 8), "mlp_y.w1": (8, 32), "mlp_y.w2": (16, 8)}
        skipped = ("mod_y", "attn.proj_y", "mlp_y.w1", "mlp_y.w2") if last else ()
        mochi.update({f"blocks.{i}.{name}": size for name, size in sizes.items() if name not in skipped})
    mochi.update({"t_embedder.mlp.0": (8, 8), "t_embedder.mlp.2": (8, 8), "t5_y_embedder.to_kv": (8, 16), "t5_y_embedder.to_q": (8, 8), "t5_y_embedder.to_out": (8, 8),
                  "t5_yproj": (8, 8), "final_layer.mod": (8, 16), "final_layer.linear": (8, 4), "x_embedder.proj": (8, 8)})
    norms = {f"blocks.{i}.attn.{x}_norm_{y}.weight": (4,) for i in range(48) for x in "qk" for y in "xy"}
    yield "Mochi", single_file_utils.convert_mochi_transformer_checkpoint_to_diffusers, mochi, {**norms, "pos_frequencies": (1,), "blocks.47.mod_y.weight": (1,), "blocks.47.mod_y.bias": (1,)}, "mochi"
    aura = {f"double_layers.0.{x}.{y}": (8, 8) for x in ("mlpX", "mlpC") for y in ("c_fc1", "c_fc2", "c_proj")}
    aura.update({f"double_layers.0.attn.w{i}{x}": (8, 8) for i in (1, 2) for x in "qkvo"})
    aura.update({"double_layers.0.modX.1": (8, 48), "double_layers.0.modC.1": (8, 48), "single_layers.0.modCX.1": (8, 48), "t_embedder.mlp.0": (8, 8), "t_embedder.mlp.2": (8, 8),
                 "cond_seq_linear": (8, 8), "final_linear": (8, 4), "modF.1": (8, 16), "init_x_linear": (4, 8)})
    aura.update({f"single_layers.0.{x}": (8, 8) for x in "mlp.c_fc1 mlp.c_fc2 mlp.c_proj attn.w1q attn.w1k attn.w1v attn.w1o".split()})
    yield "AuraFlow", single_file_utils.convert_auraflow_transformer_checkpoint_to_diffusers, aura, {"positional_encoding": (1,), "register_tokens": (1,)}, "auraflow"
    sana = {"blocks.0." + name: size for name, size in {"attn.qkv": (8, 24), "attn.proj": (8, 8), "cross_attn.q_linear": (8, 8), "cross_attn.kv_linear": (8, 16), "cross_attn.proj": (8, 8),
                                                        "mlp.inverted_conv.conv": (8, 16), "mlp.depth_conv.conv": (8, 16), "mlp.point_conv.conv": (8, 8)}.items()}
    sana.update({"x_embedder.proj": (8, 8), "t_embedder.mlp.0": (8, 8), "t_embedder.mlp.2": (8, 8), "t_block.1": (8, 48), "y_embedder.y_proj.fc1": (8, 8), "y_embedder.y_proj.fc2": (8, 8),
                 "final_layer.linear": (8, 4)})
    yield "Sana", single_file_utils.convert_sana_transformer_to_diffusers, sana, {name: (1,) for name in (
        "pos_embed", "y_embedder.y_embedding", "attention_y_norm.weight", "blocks.0.scale_shift_table", "final_layer.scale_shift_table")}, "sana"
    wan = {**wan_names(True), "time_projection.1": (8, 48), "head.head": (8, 12), "img_emb.proj.1": (8, 8), "img_emb.proj.3": (8, 8), "text_embedding.0": (8, 8), "text_embedding.2": (8, 8),
           "time_embedding.0": (8, 8), "time_embedding.2": (8, 8), "vace_blocks.0.before_proj": (8, 8), "vace_blocks.0.after_proj": (8, 8), "vace_blocks.0.self_attn.q": (8, 8)}
    yield "Wan", single_file_utils.convert_wan_transformer_to_diffusers, wan, {}, "wan"
    hunyuan = {**hunyuan_names(), "txt_in.individual_token_refiner.blocks.0.self_attn_qkv": (8, 24), "final_layer.adaLN_modulation.1": (8, 16), "img_in.proj": (8, 8)}
    yield "HunyuanVideo", single_file_utils.convert_hunyuan_video_transformer_to_diffusers, hunyuan, {}, "hunyuan-video"
    chroma = {name: size for name, size in flux_names().items() if "mod" not in name}
    chroma.update({"distilled_guidance_layer.in_proj": (8, 8), "distilled_guidance_layer.out_proj": (8, 8), "distilled_guidance_layer.layers.0.in_layer": (8, 8),
                   "distilled_guidance_layer.layers.0.out_layer": (8, 8), "final_layer.linear": (8, 4), "img_in": (4, 8), "txt_in": (8, 8)})
    norms = {f"{x}.norm.{y}_norm.scale": (4,) for x in ("double_blocks.0.img_attn", "double_blocks.0.txt_attn", "single_blocks.0") for y in ("query", "key")}
    yield "Chroma", single_file_utils.convert_chroma_transformer_checkpoint_to_diffusers, chroma, {**norms, "distilled_guidance_layer.norms.0.scale": (4,)}, "chroma"
    flux2 = {"double_blocks.0.img_attn.qkv": (8, 24), "double_blocks.0.txt_mlp.0": (8, 48), "single_blocks.0.linear1": (8, 72), "final_layer.adaLN_modulation.1": (8, 16), "final_layer.linear": (8, 4),
             "single_stream_modulation.lin": (8, 24), "guidance_in.in_layer": (8, 8)}
    yield "Flux 2", single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers, flux2, {}, "flux2"
    cosmos = {f"net.blocks.block0.blocks.{i}.{x}": (8, 8) for i in (0, 1) for x in "block.attn.to_q.0 block.attn.to_k.0 block.attn.to_v.0 block.attn.to_out.0 adaLN_modulation.1 adaLN_modulation.2".split()}
    cosmos["net.blocks.block1.blocks.0.block.attn.to_q.0"] = (8, 8)
    cosmos.update({"net.blocks.block0.blocks.2.block.layer1": (8, 8), "net.blocks.block0.blocks.2.adaLN_modulation.2": (8, 8), "net.final_layer.linear": (8, 8), "net.t_embedder.1.linear_1": (8, 8)})
    yield "Cosmos 1", single_file_utils.convert_cosmos_transformer_checkpoint_to_diffusers, cosmos, {}, "cosmos1"
    z_image = {"layers.0.attention.qkv": (8, 24), "context_refiner.1.attention.out": (8, 8), "noise_refiner.0.feed_forward.w2": (8, 8), "x_embedder": (4, 8), "final_layer.linear": (8, 4),
               "final_layer.adaLN_modulation.1": (8, 8), "cap_embedder.1": (8, 8), "layers.0.adaLN_modulation.0": (8, 8)}
    yield "Z-Image", single_file_utils.convert_z_image_transformer_checkpoint_to_diffusers, z_image, {}, "z-image"
    lumina = {"layers.0.attention.qkv": (2304, 3840), "context_refiner.1.attention.out": (8, 8), "noise_refiner.0.feed_forward.w2": (8, 8), "x_embedder": (4, 8), "final_layer.linear": (8, 4),
              "final_layer.adaLN_modulation.1": (8, 8), "cap_embedder.1": (8, 8), "layers.0.adaLN_modulation.1": (8, 32), "t_embedder.mlp.2": (8, 8)}
    yield "Lumina 2", single_file_utils.convert_lumina2_to_diffusers, lumina, {}, "lumina2"


class Kept(dict):
    """diffusers empties the checkpoint before it looks which Cosmos it is."""

    def pop(self, key, *default):
        return self.get(key, *default)


def check_checkpoints(folder):
    """Updates as the weights of a whole checkpoint, which diffusers renames, cuts and swaps."""
    for number, (title, converter, names, others, arch) in enumerate(checkpoint_names()):
        tensors, weights = {}, {name: torch.zeros(shape) for name, shape in others.items()}
        for name, (inner, outer) in names.items():
            own = lora(name, inner, outer)
            tensors.update({key.removeprefix("net."): value for key, value in own.items()})
            weights[name + ".weight"] = own[name + ".lora_B.weight"].double() @ own[name + ".lora_A.weight"].double()
            weights[name + ".bias"] = torch.zeros(outer)
        if title == "Flux 2":
            weights = {key: value for key, value in weights.items() if not key.endswith(".bias")}
        known = {name + ".weight" for name in names}
        want = {key: value for key, value in converter(Kept(weights) if title == "Cosmos 1" else dict(weights)).items() if key.endswith(".weight") and value is not None and value.dim() == 2 and value.any()}
        assert known <= set(weights)
        want = {"transformer." + key.removesuffix(".weight"): value for key, value in want.items()}
        file = folder / f"{number}.safetensors"
        save_file({f"diffusion_model.{key}": value for key, value in tensors.items()}, file)
        same(read_peft(convert(file, folder / f"{number}d", "peft", "--arch", arch)), want, title + ", dotted")
        kohya = {}
        for key, value in tensors.items():
            path, leaf, _ = key.rsplit(".", 2)
            kohya[f"lora_unet_{path.replace('.', '_')}.{'lora_down' if leaf == 'lora_A' else 'lora_up'}.weight"] = value
        save_file(kohya, file)
        same(read_peft(convert(file, folder / f"{number}f", "peft", "--arch", arch)), want, title + ", flat")


MODELS = [
    ("flux", "FluxTransformer2DModel", {"num_layers": 1, "num_single_layers": 1, "guidance_embeds": True}),
    ("flux", "ChromaTransformer2DModel", {"num_layers": 1, "num_single_layers": 1}),
    ("flux2", "Flux2Transformer2DModel", {"num_layers": 1, "num_single_layers": 1}),
    ("sd3", "SD3Transformer2DModel", {"num_layers": 2, "dual_attention_layers": (0,)}),
    ("qwen-image", "QwenImageTransformer2DModel", {"num_layers": 1}),
    ("z-image", "ZImageTransformer2DModel", {"n_layers": 1, "n_refiner_layers": 1}),
    ("lumina2", "Lumina2Transformer2DModel", {"num_layers": 1}),
    ("auraflow", "AuraFlowTransformer2DModel", {"num_mmdit_layers": 1, "num_single_dit_layers": 1}),
    ("sana", "SanaTransformer2DModel", {"num_layers": 1}),
    ("hidream", "HiDreamImageTransformer2DModel", {"num_layers": 1, "num_single_layers": 1, "caption_channels": [64, 64], "in_channels": 4, "patch_size": 2, "attention_head_dim": 8,
                                                   "num_attention_heads": 2, "text_emb_dim": 8, "num_routed_experts": 2, "num_activated_experts": 1}),
    ("krea2", "Krea2Transformer2DModel", {"num_layers": 1}),
    ("ideogram4", "Ideogram4Transformer2DModel", {"num_layers": 1}),
    ("ernie-image", "ErnieImageTransformer2DModel", {"num_layers": 1}),
    ("wan", "WanTransformer3DModel", {"num_layers": 1, "added_kv_proj_dim": 64, "image_dim": 64}),
    ("wan", "WanVACETransformer3DModel", {"num_layers": 1, "vace_layers": [0]}),
    ("hunyuan-video", "HunyuanVideoTransformer3DModel", {"num_layers": 1, "num_single_layers": 1, "num_refiner_layers": 1}),
    ("hunyuan-video-1.5", "HunyuanVideo15Transformer3DModel", {"num_layers": 1, "num_refiner_layers": 1}),
    ("hunyuan-image", "HunyuanImageTransformer2DModel", {"num_layers": 1, "num_single_layers": 1, "num_refiner_layers": 1, "text_embed_2_dim": 64, "guidance_embeds": True,
                                                        "use_meanflow": True}),
    ("kandinsky5", "Kandinsky5Transformer3DModel", {"num_text_blocks": 1, "num_visual_blocks": 1}),
    ("pixart", "PixArtTransformer2DModel", {"num_layers": 1, "caption_channels": 64}),
    ("ltx", "LTXVideoTransformer3DModel", {"num_layers": 1}),
    ("ltx2", "LTX2VideoTransformer3DModel", {"num_layers": 1}),
    ("mochi", "MochiTransformer3DModel", {"num_layers": 2}),
    ("cosmos", "CosmosTransformer3DModel", {"num_layers": 1}),
    ("minimax-h3", "MiniMaxH3Transformer3DModel", {"num_layers": 1}),
    ("cogvideox", "CogVideoXTransformer3DModel", {"num_layers": 1}),
    ("cogview4", "CogView4Transformer2DModel", {"num_layers": 1}),
]


def check_models(folder):
    """Every layer of diffusers' own models is found under its flattened name."""
    for number, (arch, name, config) in enumerate(MODELS):
        with torch.device("meta"):
            model = getattr(models, name)(**config)
        kinds = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
        paths = [path for path, module in model.named_modules() if isinstance(module, kinds)]
        file = folder / f"{number}.safetensors"
        save_file(flat(dict.fromkeys(paths, (2, 2)), "lora_transformer_"), file)
        got = read_peft(convert(file, folder / str(number), "peft", "--arch", arch))
        assert sorted(got) == sorted("transformer." + path for path in paths), (name, set(got) ^ {"transformer." + path for path in paths})
        print(f"{name}: {len(paths)}", flush=True)


HUNYUAN_TEXT = {"txt_in.input_embedder": "context_embedder.proj_in", "txt_in.t_embedder.mlp.0": "context_embedder.time_text_embed.timestep_embedder.linear_1",
                "txt_in.c_embedder.linear_2": "context_embedder.time_text_embed.text_embedder.linear_2",
                "txt_in.individual_token_refiner.blocks.0.self_attn_qkv": [f"context_embedder.token_refiner.refiner_blocks.0.attn.to_{x}" for x in "qkv"],
                "txt_in.individual_token_refiner.blocks.1.adaLN_modulation.1": "context_embedder.token_refiner.refiner_blocks.1.norm_out.linear",
                "double_blocks.3.img_mlp.fc1": "transformer_blocks.3.ff.net.0.proj", "double_blocks.3.txt_mod.linear": "transformer_blocks.3.norm1_context.linear",
                "double_blocks.3.txt_attn_proj": "transformer_blocks.3.attn.to_add_out"}
# What the scripts of diffusers that convert whole checkpoints make of them (convert_hunyuan_video1_5_to_diffusers.py and so
# on), which are in no package. A list is one weight whose rows are divided, "~" halves that change places.
SCRIPTS = {
    "hunyuan-video-1.5": {**HUNYUAN_TEXT, "double_blocks.0.img_attn_q": "transformer_blocks.0.attn.to_q", "double_blocks.0.txt_attn_v": "transformer_blocks.0.attn.add_v_proj",
                          "double_blocks.1.txt_attn_qkv": [f"transformer_blocks.1.attn.add_{x}_proj" for x in "qkv"], "time_in.mlp.0": "time_embed.timestep_embedder.linear_1",
                          "byt5_in.fc3": "context_embedder_2.linear_3", "vision_in.proj.1": "image_embedder.linear_1", "vision_in.proj.3": "image_embedder.linear_2",
                          "final_layer.adaLN_modulation.1": "~norm_out.linear", "final_layer.linear": "proj_out", "img_in.proj": "x_embedder.proj"},
    "hunyuan-image": {**HUNYUAN_TEXT, "double_blocks.0.img_attn_qkv": [f"transformer_blocks.0.attn.to_{x}" for x in "qkv"], "single_blocks.2.linear1_q": "single_transformer_blocks.2.attn.to_q",
                      "single_blocks.2.linear1_mlp": "single_transformer_blocks.2.proj_mlp", "single_blocks.2.linear2": "single_transformer_blocks.2.proj_out",
                      "single_blocks.2.modulation.linear": "single_transformer_blocks.2.norm.linear", "time_in.mlp.2": "time_guidance_embed.timestep_embedder.linear_2",
                      "guidance_in.mlp.0": "time_guidance_embed.guidance_embedder.linear_1", "byt5_in.fc1": "context_embedder_2.linear_1",
                      "final_layer.adaLN_modulation.1": "~norm_out.linear"},
    "pixart": {"blocks.0.attn.qkv": [f"transformer_blocks.0.attn1.to_{x}" for x in "qkv"], "blocks.0.cross_attn.kv_linear": [f"transformer_blocks.0.attn2.to_{x}" for x in "kv"],
               "blocks.5.cross_attn.proj": "transformer_blocks.5.attn2.to_out.0", "blocks.5.mlp.fc2": "transformer_blocks.5.ff.net.2", "t_block.1": "adaln_single.linear",
               "csize_embedder.mlp.0": "adaln_single.emb.resolution_embedder.linear_1", "y_embedder.y_proj.fc1": "caption_projection.linear_1", "x_embedder.proj": "pos_embed.proj"},
}


def check_scripts(folder):
    for arch, names in SCRIPTS.items():
        tensors, want = {}, {}
        for name, paths in names.items():
            own = lora("diffusion_model." + name, 8, 96 if "linear1_mlp" in name else 24)
            tensors.update(own)
            down, up = own.values()
            if isinstance(paths, list):
                want.update({"transformer." + path: part @ down.double() for path, part in zip(paths, up.double().chunk(len(paths)))})
            else:
                rows = up.double().roll(12, 0) if paths.startswith("~") else up.double()
                want["transformer." + paths.removeprefix("~")] = rows @ down.double()
        for spelling in ("dotted", "flat"):
            file = folder / f"{arch}-{spelling}.safetensors"
            if spelling == "flat":
                tensors = {"lora_unet_" + key.removeprefix("diffusion_model.")[:-14].replace(".", "_") + (".lora_down.weight" if "lora_A" in key else ".lora_up.weight"): value
                           for key, value in tensors.items()}
            save_file(tensors, file)
            peft = convert(file, folder / f"{arch}-{spelling}", "peft", "--arch", arch)
            same(read_peft(peft), want, f"{arch}, {spelling}")
        if arch != "pixart":
            back = convert(convert(peft, folder / f"{arch}-back.safetensors", "kohya", "--arch", arch), folder / f"{arch}-back", "peft", "--arch", arch)
            same(read_peft(back), want, f"{arch}, back")


def check_written(folder):
    pipelines = loaders.lora_pipeline
    compare_written(folder, (
        ("wan", pipelines.WanLoraLoaderMixin, dotted(wan_names(True), alpha=3.0, leaves=KOHYA)),
        ("qwen-image", pipelines.QwenImageLoraLoaderMixin, dotted(qwen_names(), alpha=3.0)),
        ("flux", pipelines.FluxLoraLoaderMixin, dotted(flux_names(), alpha=3.0, leaves=KOHYA)),
        ("flux2", pipelines.Flux2LoraLoaderMixin, dotted({"double_blocks.0.txt_attn.qkv": (48, 144), "single_blocks.0.linear1": (48, 432)})),
        # No program but ComfyUI reads these; back in PEFT they are what they were.
        ("hunyuan-video", None, dotted(hunyuan_names(), "", alpha=3.0)),
        ("sd3", None, dotted({"joint_blocks.0.x_block.attn.qkv": (8, 24), "joint_blocks.0.context_block.adaLN_modulation.1": (8, 16)}, alpha=3.0)),
        ("lumina2", None, dotted({"layers.0.attention.qkv": (24, 40), "layers.0.adaLN_modulation.1": (8, 32)})),
        ("minimax-h3", pipelines.MiniMaxH3LoraLoaderMixin, dotted({"blocks.0.attn.qkv_proj": (8, 24), "blocks.0.mlp.fc1": (8, 32)})),
    ))


def main():
    with tempfile.TemporaryDirectory() as folder:
        for check in (check_lora_files, check_checkpoints, check_models, check_scripts, check_written):
            below = pathlib.Path(folder) / check.__name__
            below.mkdir()
            check(below)


if __name__ == "__main__":
    main()
