# SPDX-License-Identifier: Apache-2.0
"""image_converters.py FERRULE: names of image and video models, compared with the converters of diffusers.

diffusers reads LoRA files in the names of each model's own code (loaders/lora_conversion_utils.py) and whole checkpoints
(loaders/single_file_utils.py). Both are given the same file as Ferrule, or the updates that it means as weights; the
updates of all modules are compared. The modules of diffusers' own models must be found under their flattened names.
"""

import contextlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import torch
from diffusers import loaders, models
from diffusers.loaders import single_file_utils
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


def lora_files():
    """(title, the mixin that loads it, tensors)"""
    pipelines = loaders.lora_pipeline
    yield from wan_files()
    yield "HunyuanVideo", pipelines.HunyuanVideoLoraLoaderMixin, dotted(hunyuan_names(), "")
    yield "HunyuanVideo behind transformer.", pipelines.HunyuanVideoLoraLoaderMixin, dotted(hunyuan_names(), "transformer.")
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
    for number, (title, mixin, tensors, *options) in enumerate(lora_files()):
        file = folder / f"{number}.safetensors"
        save_file(tensors, file)
        with contextlib.redirect_stderr(io.StringIO()):
            state = mixin.lora_state_dict({key: value.clone() for key, value in tensors.items()})
        state = state[0] if isinstance(state, tuple) else state
        same(read_peft(convert(file, folder / str(number), "peft", *options)), updates_of(state), title)


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


def check_written(folder):
    """What Ferrule writes for kohya-ss' trainers and for diffusers is what diffusers loads."""
    pipelines = loaders.lora_pipeline
    for number, (arch, mixin, source) in enumerate((("wan", pipelines.WanLoraLoaderMixin, dotted(wan_names(True), alpha=3.0, leaves=KOHYA)),
                                                    ("qwen-image", pipelines.QwenImageLoraLoaderMixin, dotted(qwen_names(), alpha=3.0)),
                                                    ("flux", pipelines.FluxLoraLoaderMixin, dotted(flux_names(), alpha=3.0, leaves=KOHYA)),
                                                    ("flux2", pipelines.Flux2LoraLoaderMixin, dotted({"double_blocks.0.txt_attn.qkv": (48, 144), "single_blocks.0.linear1": (48, 432)})),
                                                    # No program but ComfyUI reads these; back in PEFT they are what they were.
                                                    ("hunyuan-video", None, dotted(hunyuan_names(), "", alpha=3.0)),
                                                    ("sd3", None, dotted({"joint_blocks.0.x_block.attn.qkv": (8, 24), "joint_blocks.0.context_block.adaLN_modulation.1": (8, 16)}, alpha=3.0)),
                                                    ("lumina2", None, dotted({"layers.0.attention.qkv": (24, 40), "layers.0.adaLN_modulation.1": (8, 32)})),
                                                    ("minimax-h3", pipelines.MiniMaxH3LoraLoaderMixin, dotted({"blocks.0.attn.qkv_proj": (8, 24), "blocks.0.mlp.fc1": (8, 32)})))):
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
        for check in (check_lora_files, check_checkpoints, check_models, check_written, check_methods, check_refusals):
            below = pathlib.Path(folder) / check.__name__
            below.mkdir()
            check(below)


if __name__ == "__main__":
    main()
