# SPDX-License-Identifier: Apache-2.0
"""Every model class that the installed transformers can build small, with adapters of several kinds, against live PEFT.

usage: sweep.py FERRULE [--all] [--part N/M] [--only CLASS,CLASS] [--kind KIND,KIND] [-v]

Where PEFT loads all of an adapter, `ferrule check` says ok or warn; where it drops tensors, leaves layers untrained or
raises, check says bad. Without --all a sample across kinds of architecture runs (the quick part, in the suite). Prints the
count of agreements, and each disagreement; exits 1 if there is one that KNOWN does not name.

Kinds: linear (LoRA on the linear layers), norm (a norm as a target), other (a module that is neither a layer nor a
norm), disk (the linear layers under the names of the checkpoint, if they differ).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import peft as P
import torch
import transformers as T
import transformers_configs
from make_transformers_names import classes, give_hints, shrink
from peft_verdict import peft_verdict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers.pytorch_utils import Conv1D

T.logging.set_verbosity_error()
T.logging.disable_progress_bar()
transformers_configs.without_other_libraries()

SAMPLE = ["LlamaForCausalLM", "GPT2LMHeadModel", "GPTNeoXForCausalLM", "BertForMaskedLM", "ViTForImageClassification",
          "BeitForImageClassification", "DeiTForImageClassification", "SegformerForImageClassification", "CLIPVisionModel",
          "SiglipModel", "LlavaForConditionalGeneration", "Qwen2VLForConditionalGeneration", "T5ForConditionalGeneration",
          "BartForConditionalGeneration", "WhisperForConditionalGeneration", "Qwen2MoeForCausalLM", "MixtralForCausalLM",
          "GptOssForCausalLM", "GraniteMoeForCausalLM", "JambaForCausalLM", "MambaForCausalLM", "NemotronHForCausalLM",
          "IBertModel", "Gemma3ForCausalLM", "Phi3ForCausalLM"]
# Class and kind of each disagreement that stays, with the reason.
RF_DETR = ("transformers puts \"model.\" before every name of the file, and leaves those as they are that the model has already; "
           "check takes the renamed ones")
KNOWN: dict[tuple[str, str], str] = {("RfDetrForInstanceSegmentation", "linear"): RF_DETR, ("RfDetrForObjectDetection", "linear"): RF_DETR}
LIMIT = 60_000_000  # Parameters of a model worth building.


WIDTHS = {"hidden_size": 32, "d_model": 32, "n_embd": 32, "embed_dim": 32, "embedding_size": 32, "dim": 32,
          "intermediate_size": 64, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32, "ffn_dim": 64,
          "d_ff": 64, "d_kv": 8, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "n_inner": 64, "head_dim": 8,
          "num_attention_heads": 4, "num_key_value_heads": 2, "n_head": 4, "num_heads": 4, "encoder_attention_heads": 4,
          "decoder_attention_heads": 4, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4,
          "num_experts_per_tok": 2, "max_position_embeddings": 64, "word_embed_proj_dim": 32, "projection_dim": 32,
          "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
          "n_group": 1, "topk_group": 1, "mamba_d_state": 8, "state_size": 8, "vocab_size": 1200}


def narrow(config):
    """The sizes of a config brought down, and lists of one entry a layer to as many."""
    layers = getattr(config, "num_hidden_layers", None)
    for key in ("layer_types", "mlp_layer_types"):
        value = getattr(config, key, None)
        if isinstance(value, list) and isinstance(layers, int) and len(value) > layers:
            setattr(config, key, value[:layers])
    if isinstance(getattr(config, "stage_names", None), list) and isinstance(layers, int):
        names = ["stem"] + [f"stage{n}" for n in range(1, layers + 1)]
        for key, value in (("stage_names", names), ("_out_features", names[-1:]), ("_out_indices", [layers])):
            try:
                setattr(config, key, value)
            except Exception:
                pass
    for key, value in list(vars(config).items()):
        if key in WIDTHS and isinstance(value, int) and not isinstance(value, bool) and value > WIDTHS[key]:
            try:
                setattr(config, key, WIDTHS[key])
            except Exception:
                pass
        elif key.endswith("token_id") and isinstance(value, int) and value >= WIDTHS["vocab_size"]:
            setattr(config, key, WIDTHS["vocab_size"] - 2)
        elif hasattr(value, "model_type") and hasattr(value, "to_dict"):
            narrow(value)


def build(cls):
    def complete(config):
        transformers_configs.complete(cls, config)

    for steps in ([shrink, narrow], [give_hints, shrink, narrow], [shrink], [give_hints, shrink],
                  [shrink, complete, narrow], [shrink, complete], [give_hints, shrink, complete]):
        try:
            config = transformers_configs.config_of(cls)
            for step in steps:
                step(config)
            with torch.device("meta"):
                probe = cls(config)
            if sum(p.numel() for p in probe.parameters()) > LIMIT:
                continue
            torch.manual_seed(0)
            return cls(config)
        except Exception:
            continue
    return None


def modules_of(model):
    """(linear, norms, others): one path of each."""
    linear, norms, others = [], [], []
    head = None
    try:
        head = model.get_output_embeddings()
    except Exception:
        pass
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if isinstance(module, (torch.nn.Linear, Conv1D)):
            if module is not head and module.weight.numel() > 0:  # Sizes brought down may be 0.
                linear.append(name)
        elif name and own and "Norm" in type(module).__name__:
            norms.append(name)
        elif own and name and not isinstance(module, (torch.nn.Embedding, torch.nn.modules.conv._ConvNd, torch.nn.MultiheadAttention)):
            others.append(name)
    return linear, norms, others


def live_verdict(base, cls, adapter):
    return peft_verdict(lambda: cls.from_pretrained(base), adapter, words=80)


def write(folder, targets, tensors):
    folder.mkdir()
    config = P.LoraConfig(r=2, target_modules=sorted(targets), inference_mode=True)
    config.save_pretrained(folder)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def adapters(cls, base, work, kinds):
    """(kind, folder) of each adapter for the base."""
    model = cls.from_pretrained(base)
    linear, norms, others = modules_of(model)
    shapes = {name: model.get_submodule(name).weight.shape for name in linear}
    if not linear:
        return
    plain = work / "linear"
    try:
        P.get_peft_model(model, P.LoraConfig(r=2, target_modules=linear)).save_pretrained(plain)
    except Exception:
        return
    tensors = load_file(plain / "adapter_model.safetensors")
    if "linear" in kinds:
        yield "linear", plain
    for kind, names in (("norm", norms), ("other", others)):
        if kind in kinds and names:
            size = 8
            key = f"base_model.model.{names[0]}"
            extra = {f"{key}.lora_A.weight": torch.zeros(2, size), f"{key}.lora_B.weight": torch.zeros(size, 2)}
            folder = work / kind
            write(folder, [names[0]], extra)
            yield kind, folder
    if "disk" in kinds:
        files = [base / "model.safetensors"] if (base / "model.safetensors").exists() else []
        for file in files:
            with safe_open(file, "pt") as opened:
                on_disk = [key.removesuffix(".weight") for key in opened.keys()
                           if key.endswith(".weight") and len(opened.get_slice(key).get_shape()) == 2]
        strange = [name for name in on_disk if name not in dict(model.named_modules())] if files else []
        strange = [name for name in strange if "embed" not in name][:4]
        if strange:
            made = {}
            with safe_open(files[0], "pt") as opened:
                for name in strange:
                    rows, columns = opened.get_slice(f"{name}.weight").get_shape()
                    made[f"base_model.model.{name}.lora_A.weight"] = torch.zeros(2, columns)
                    made[f"base_model.model.{name}.lora_B.weight"] = torch.zeros(rows, 2)
            folder = work / "disk"
            write(folder, strange, made)
            yield "disk", folder
    del shapes, tensors


def check(ferrule, adapter, base):
    done = subprocess.run([ferrule, "check", str(adapter), "--base", str(base), "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return "failed", done.stderr[-300:]
    answer = json.loads(done.stdout)
    said = "; ".join(f"{f['rule']} {f['key']}: {f['message']}"[:200] for f in answer["findings"][:3])
    return answer["verdict"], said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ferrule")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--only", default="")
    parser.add_argument("--kind", default="linear,norm,other,disk")
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else None if options.all else SAMPLE
    part, parts = map(int, options.part.split("/"))
    agreed, built, known, failed = 0, 0, 0, []
    for cls in list(classes())[part - 1 :: parts]:
        if chosen and cls.__name__ not in chosen:
            continue
        model = build(cls)
        if model is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            base = work / "base"
            try:
                model.save_pretrained(base)
                made = list(adapters(cls, base, work, options.kind.split(",")))
            except Exception as error:
                if options.v:
                    print(f"{cls.__name__}: not tried: {error!r}"[:200], flush=True)
                continue
            built += 1
            for kind, adapter in made:
                live = live_verdict(base, cls, adapter)
                verdict, said = check(options.ferrule, adapter, base)
                if (live == "loads") == (verdict in ("ok", "warn")):
                    agreed += 1
                elif (cls.__name__, kind) in KNOWN:
                    known += 1
                else:
                    failed.append(f"{cls.__name__} {kind}: PEFT {live}; check {verdict}: {said}")
                    print(failed[-1], flush=True)
    print(f"{agreed} of {agreed + known + len(failed)} agree, on {built} classes; {known} known disagreements")
    sys.exit(1 if failed or built == 0 else 0)


if __name__ == "__main__":
    main()
