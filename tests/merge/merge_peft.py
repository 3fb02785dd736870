# SPDX-License-Identifier: Apache-2.0
"""Merges adapters of every method that PEFT merges into small models, and compares with what
merge_and_unload() gives: to the bit where docs/merge.md says so, else within its tolerance.

usage: merge_peft.py FERRULE [--all] [-v] [NAME]
"""
import json
import os
import subprocess
import sys
import tempfile
import traceback

import merge_models as models
import numpy as np
import peft
import torch
from checking import FERRULE, check, finish
from peft import TaskType
from safetensors.torch import load_file, save_file

ARGS = [a for a in sys.argv[2:] if not a.startswith("-")]
ALL = "--all" in sys.argv
ONLY = ARGS[0] if ARGS else ""
QV = ["q_proj", "v_proj"]


def lora(**more):
    return peft.LoraConfig(**{"r": 3, "lora_alpha": 8, "target_modules": QV, "init_lora_weights": False, **more})


# name: (model, config, exact). Those with a star are the short run. Not exact, although it is LoRA: products of a few
# elements, for which torch's library has kernels that add in another order.
CASES = {
    "*lora": ("llama", lambda: lora(), True),
    "lora_rslora_pattern": ("llama", lambda: lora(use_rslora=True, rank_pattern={"q_proj": 5},
                                                  alpha_pattern={"v_proj": 3}), True),
    "lora_rank_one": ("llama", lambda: lora(r=1, target_modules="all-linear"), True),
    "*lora_high_rank": ("llama", lambda: lora(r=20, target_modules="all-linear"), True),
    "*lora_bias": ("llama_bias", lambda: lora(lora_bias=True), True),
    "lora_bias_all": ("opt", lambda: lora(bias="all"), True),
    # PEFT writes stray copies of the saved modules' biases then.
    "*lora_bias_all_saved": ("opt", lambda: lora(bias="all", modules_to_save=["final_layer_norm"]), True),
    "lora_bias_only": ("llama_bias", lambda: lora(bias="lora_only"), True),
    "*dora": ("llama", lambda: lora(use_dora=True), False),
    "dora_gpt2": ("gpt2", lambda: lora(use_dora=True, target_modules=["c_attn"]), False),
    "*gpt2": ("gpt2", lambda: lora(target_modules=["c_attn", "c_proj", "c_fc"]), True),
    "*embedding": ("llama", lambda: lora(target_modules=["embed_tokens", "lm_head", "q_proj"]), True),
    "embedding_dora": ("llama", lambda: lora(target_modules=["embed_tokens"], use_dora=True), False),
    # The norm is that of the copy of the head in the file, not of the base's.
    "dora_head_bf16": ("llama", lambda: lora(target_modules=["lm_head"], use_dora=True), False),
    # A head with a bias: the file repeats both.
    "head_bias": ("gptj", lambda: lora(target_modules=["lm_head", "q_proj"]), True),
    "modules_to_save": ("bert", lambda: lora(target_modules=["query"], modules_to_save=["pooler"],
                                             task_type=TaskType.SEQ_CLS), True),
    "tokens": ("llama", lambda: lora(trainable_token_indices={"embed_tokens": [3, 50, 7]}), True),
    "trainable_tokens": ("llama", lambda: peft.TrainableTokensConfig(token_indices=[5, 0, 9]), True),
    "*convs": ("convs", lambda: lora(target_modules=["c1", "c2", "c2p", "c3", "emb", "lin", "tc"]), False),
    "convs_dora": ("convs", lambda: lora(target_modules=["c1", "c2", "c2p", "c3", "lin", "tc"], use_dora=True), False),
    "attention": ("convs", lambda: lora(target_modules=["mha"]), False),
    # PEFT has a bias for the input projections, too, and does not use it.
    "attention_bias": ("convs", lambda: lora(target_modules=["mha"], lora_bias=True), False),
    # Alone it is a Linear like others: "all-linear" adapts it without the attention around it.
    "attention_output": ("convs", lambda: lora(target_modules=["mha.out_proj"]), True),
    "experts": ("mixtral", lambda: lora(target_modules=["q_proj"],
                                        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]), True),
    "router": ("mixtral", lambda: lora(target_modules=[], target_parameters=["mlp.gate.weight"]), False),
    "mica": ("llama", lambda: lora(init_lora_weights="mica"), True),
    "adalora": ("llama", lambda: peft.AdaLoraConfig(init_r=4, target_r=2, total_step=10, target_modules=QV,
                                                    init_lora_weights=False), False),
    "adalora_gpt2": ("gpt2", lambda: peft.AdaLoraConfig(init_r=4, total_step=10, target_modules=["c_attn"],
                                                        init_lora_weights=False), False),
    "*loha": ("llama", lambda: peft.LoHaConfig(r=3, alpha=5, target_modules=QV, init_weights=False), True),
    "loha_convs": ("convs", lambda: peft.LoHaConfig(r=3, alpha=5, target_modules=["c1", "c2", "c2p", "lin"],
                                                    init_weights=False), False),
    "loha_effective": ("convs", lambda: peft.LoHaConfig(r=3, target_modules=["c1", "c2"], init_weights=False,
                                                        use_effective_conv2d=True), False),
    "*lokr": ("llama", lambda: peft.LoKrConfig(r=2, alpha=5, target_modules=QV, init_weights=False), False),
    "lokr_both": ("llama", lambda: peft.LoKrConfig(r=2, target_modules=QV, init_weights=False, decompose_both=True,
                                                   decompose_factor=4), False),
    "lokr_convs": ("convs", lambda: peft.LoKrConfig(r=2, target_modules=["c1", "c2", "c2p", "lin"],
                                                    init_weights=False), False),
    "lokr_effective": ("convs", lambda: peft.LoKrConfig(r=2, target_modules=["c2"], init_weights=False,
                                                        use_effective_conv2d=True), False),
    "lokr_whole": ("convs", lambda: peft.LoKrConfig(r=64, target_modules=["c1", "c2", "lin"], init_weights=False), False),
    "*oft": ("llama", lambda: peft.OFTConfig(oft_block_size=6, target_modules=QV, init_weights=False), False),
    "oft_exact": ("llama", lambda: peft.OFTConfig(oft_block_size=6, target_modules=QV, init_weights=False,
                                                  use_cayley_neumann=False), False),
    "oft_coft_share": ("llama", lambda: peft.OFTConfig(r=4, oft_block_size=0, target_modules=QV, init_weights=False,
                                                       coft=True, eps=0.05, block_share=True), False),
    "oft_convs": ("convs", lambda: peft.OFTConfig(r=3, oft_block_size=0, target_modules=["c2", "c2p", "lin", "emb"],
                                                  init_weights=False), False),
    "*boft": ("llama", lambda: peft.BOFTConfig(boft_block_size=4, target_modules=QV, init_weights=False), False),
    "boft_convs": ("convs", lambda: peft.BOFTConfig(boft_block_size=4, target_modules=["c2p", "lin"],
                                                    init_weights=False), False),
    "*hra": ("llama", lambda: peft.HRAConfig(r=3, target_modules=QV, init_weights=False), False),
    "hra_gs": ("llama", lambda: peft.HRAConfig(r=4, target_modules=QV, init_weights=False, apply_GS=True), False),
    "hra_convs": ("convs", lambda: peft.HRAConfig(r=2, target_modules=["c2", "c2p", "lin"], init_weights=False), False),
    "*ia3": ("llama_bias", lambda: peft.IA3Config(target_modules=["k_proj", "v_proj", "down_proj"],
                                                  feedforward_modules=["down_proj"]), True),
    "ia3_gpt2": ("gpt2", lambda: peft.IA3Config(target_modules=["c_attn", "mlp.c_proj"],
                                                feedforward_modules=["mlp.c_proj"]), True),
    "ia3_convs": ("convs", lambda: peft.IA3Config(target_modules=["c2", "c2g", "c3", "lin"],
                                                  feedforward_modules=["c2", "c2g"]), True),
    "ln_tuning": ("opt", lambda: peft.LNTuningConfig(target_modules=["final_layer_norm"]), True),
    "*vera": ("llama", lambda: peft.VeraConfig(r=4, target_modules=QV, init_weights=False), False),
    "*vera_unsaved": ("llama", lambda: peft.VeraConfig(r=4, target_modules=QV, save_projection=False,
                                                       projection_prng_key=7), False),
    "vera_gpt2": ("gpt2", lambda: peft.VeraConfig(r=4, target_modules=["c_attn"], init_weights=False), False),
    "pvera": ("llama", lambda: peft.PveraConfig(r=4, target_modules=QV, init_weights=False), False),
    "pvera_unsaved": ("llama", lambda: peft.PveraConfig(r=4, target_modules=QV, save_projection=False), False),
    "randlora": ("llama", lambda: peft.RandLoraConfig(r=5, target_modules=QV, init_weights=False), False),
    "*randlora_unsaved": ("llama", lambda: peft.RandLoraConfig(r=5, target_modules=QV, save_projection=False), False),
    "randlora_unsaved_wide": ("gpt2", lambda: peft.RandLoraConfig(r=4, target_modules=["c_attn", "c_fc", "mlp.c_proj"],
                                                                  save_projection=False, projection_prng_key=11), False),
    "randlora_sparse": ("llama", lambda: peft.RandLoraConfig(r=5, target_modules=QV, save_projection=False,
                                                             sparse=True), False),
    "randlora_gpt2": ("gpt2", lambda: peft.RandLoraConfig(r=5, target_modules=["c_attn", "c_proj"]), False),
    "vblora": ("llama", lambda: peft.VBLoRAConfig(r=2, num_vectors=10, vector_length=4, target_modules=QV), False),
    # Logits that are equal after rounding: torch.topk chooses.
    "vblora_ties_bf16": ("llama", lambda: peft.VBLoRAConfig(r=4, num_vectors=60, vector_length=4, topk=3, target_modules=QV), False),
    "vblora_topk": ("llama", lambda: peft.VBLoRAConfig(r=2, num_vectors=10, vector_length=4, target_modules=QV,
                                                       save_only_topk_weights=True), False),
    "*unilora_unsaved": ("llama", lambda: peft.UniLoraConfig(r=3, theta_d_length=40, target_modules=QV), False),
    "unilora_unsaved_wide": ("gpt2", lambda: peft.UniLoraConfig(r=2, theta_d_length=12011, proj_seed=5,
                                                                target_modules=["c_attn", "c_proj", "c_fc"]), False),
    "unilora": ("llama", lambda: peft.UniLoraConfig(r=3, theta_d_length=40, target_modules=QV, save_indices=True), False),
    "*fourierft": ("llama", lambda: peft.FourierFTConfig(n_frequency=9, target_modules=QV, init_weights=False), False),
    "fourierft_gpt2": ("gpt2", lambda: peft.FourierFTConfig(n_frequency=9, target_modules=["c_attn"],
                                                            init_weights=False), False),
    "waveft": ("llama", lambda: peft.WaveFTConfig(n_frequency=9, target_modules=QV, init_weights=False), False),
    "waveft_db2": ("llama", lambda: peft.WaveFTConfig(n_frequency=9, target_modules=QV, init_weights=False,
                                                      wavelet_family="db2"), False),
    "waveft_plain": ("gpt2", lambda: peft.WaveFTConfig(n_frequency=9, target_modules=["c_attn"], init_weights=False,
                                                       use_idwt=False), False),
    "c3a": ("llama", lambda: peft.C3AConfig(block_size=4, target_modules=QV, init_weights=False), False),
    "*miss": ("llama", lambda: peft.MissConfig(r=4, target_modules=QV), False),
    "miss_remainder": ("llama", lambda: peft.MissConfig(r=5, target_modules=QV), False),
    "miss_bat": ("llama", lambda: peft.MissConfig(r=4, target_modules=QV, init_weights="bat"), False),
    "miss_mini": ("llama", lambda: peft.MissConfig(r=4, mini_r=4, target_modules=QV, init_weights="mini"), False),
    "deft": ("llama", lambda: peft.DeftConfig(r=3, target_modules=QV), False),
    "deft_qr": ("llama", lambda: peft.DeftConfig(r=3, target_modules=QV, decomposition_method="qr"), False),
    # More ranks than outputs: the strength is that of the ranks that there are.
    "deft_cut": ("bert", lambda: peft.DeftConfig(r=5, alpha=4, target_modules=["classifier"]), False),
    "deft_para": ("llama", lambda: peft.DeftConfig(r=3, target_modules=QV, para=True), False),
    "delora": ("llama", lambda: peft.DeloraConfig(r=3, target_modules=QV, init_weights=False), False),
    "gralora": ("llama", lambda: peft.GraloraConfig(r=4, gralora_k=2, target_modules=QV, init_weights=False), False),
    "gralora_hybrid": ("gpt2", lambda: peft.GraloraConfig(r=4, gralora_k=2, hybrid_r=2, target_modules=["c_attn"],
                                                          init_weights=False), False),
    "*glora": ("llama_bias", lambda: peft.GloraConfig(r=3, target_modules=QV), False),
    "glora_vector": ("llama_bias", lambda: peft.GloraConfig(r=3, target_modules=QV, config_A_B="vector",
                                                            config_C="vector", config_D_E="vector"), False),
    # C is rounded before the weight is multiplied with it.
    "glora_bias": ("llama_bias", lambda: peft.GloraConfig(r=3, target_modules=["up_proj"], config_C="vector"), False),
    "hira": ("llama", lambda: peft.HiraConfig(r=3, target_modules=QV, init_weights=False), False),
    "hira_convs": ("convs", lambda: peft.HiraConfig(r=3, target_modules=["c1", "c2", "c2p", "c3", "emb", "lin", "tc"],
                                                    init_weights=False), False),
    "*shira": ("llama", lambda: peft.ShiraConfig(r=1, target_modules=QV, init_weights=False), True),
    "supertuning": ("llama", lambda: peft.SupertuningConfig(sparsity=0.9, target_modules=QV,
                                                            save_precomputed_indices=True), False),
    "supertuning_lora": ("llama", lambda: peft.SupertuningConfig(sparsity=0.9, r=2, target_modules=QV,
                                                                 save_precomputed_indices=True), False),
    "supertuning_unsaved": ("llama", lambda: peft.SupertuningConfig(sparsity=0.9, target_modules=QV,
                                                                    save_precomputed_indices=False), False),
    "supertuning_unsaved_smallest": ("llama", lambda: peft.SupertuningConfig(
        sparsity=0.7, r=2, lora_alpha=6, target_modules=QV, select_top=False, save_precomputed_indices=False), False),
    "peanut": ("llama", lambda: peft.PeanutConfig(r=3, target_modules=QV, init_weights=False), False),
    "beft": ("llama_bias", lambda: peft.BeftConfig(target_modules=["v_proj"]), True),
    "road_1": ("llama_bias", lambda: peft.RoadConfig(variant="road_1", group_size=4, target_modules=QV), False),
    "road_2": ("llama", lambda: peft.RoadConfig(variant="road_2", group_size=6, target_modules=QV), False),
    "road_4": ("llama", lambda: peft.RoadConfig(variant="road_4", group_size=4, target_modules=QV), False),
    "tinylora": ("llama", lambda: peft.TinyLoraConfig(r=2, u=4, target_modules=QV), False),
    "tinylora_unsaved": ("llama", lambda: peft.TinyLoraConfig(r=2, u=4, target_modules=QV, save_projection=False), False),
    # The order in which the model has its layers counts: k, v, q here.
    "*tinylora_opt": ("opt", lambda: peft.TinyLoraConfig(r=2, u=4, target_modules=["q_proj", "k_proj", "v_proj"]), False),
    "tinylora_gptj": ("gptj", lambda: peft.TinyLoraConfig(r=2, u=4, weight_tying=0.5, save_projection=False,
                                                          target_modules=["q_proj", "k_proj", "out_proj", "fc_in"]), False),
    "unilora_opt": ("opt", lambda: peft.UniLoraConfig(r=3, theta_d_length=40, target_modules=["q_proj", "k_proj", "fc1"]), False),
    "*osf": ("llama", lambda: peft.OSFConfig(effective_rank=4, target_modules=QV), False),
    "*adamss": ("llama", lambda: peft.AdamssConfig(r=6, num_subspaces=2, subspace_rank=2, target_modules="all-linear",
                                                   init_weights=None), False),
    "adamss_bias": ("llama_bias", lambda: peft.AdamssConfig(r=9, num_subspaces=3, random_seed=5, subspace_rank=4,
                                                            target_modules=QV + ["up_proj"]), False),
    "adamss_dynamic": ("opt", lambda: peft.AdamssConfig(r=20, use_dynamic_rank=True, target_modules=["fc1", "fc2"]), False),
    "frod": ("llama", lambda: peft.FrodConfig(target_modules=QV), False),
    "kasa": ("llama", lambda: lora(kasa_config=peft.KasaConfig()), False),
    "velora": ("llama", lambda: lora(velora_config=peft.VeloraConfig(num_groups=2)), True),
    "bdlora": ("llama", lambda: lora(r=4, use_bdlora=peft.BdLoraConfig(
        target_modules_bd_a=["q_proj"], target_modules_bd_b=["v_proj"], nblocks=2)), True),
    "pissa": ("llama", lambda: lora(init_lora_weights="pissa"), False),
    "olora": ("llama", lambda: lora(init_lora_weights="olora"), False),
    # More ranks than there are singular values: the factors are cut, the strength is that of the config.
    "*pissa_cut": ("llama", lambda: lora(r=30, init_lora_weights="pissa"), False),
    "olora_cut": ("llama", lambda: lora(r=30, init_lora_weights="olora"), False),
}


def ordered(tensor):
    bits = tensor.contiguous().view(torch.int16).to(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFF), bits)


def compare(name, got, want, base, exact, share=0.02):
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{name}: {got.dtype}{list(got.shape)}, want {want.dtype}{list(want.shape)}"
    if torch.equal(got, want):
        return None
    x, y = got.double(), want.double()
    largest = max(y.abs().max().item(), base.double().abs().max().item())
    off, differ = (x - y).abs().max().item(), int((x != y).sum())
    if exact:
        return f"{name}: {differ} of {x.numel()} values are not PEFT's bits (off by {off:.2g})"
    if want.dtype == torch.float32:
        return None if off <= 1e-5 * largest else f"{name}: off by {off / largest:.2g} of the largest value"
    steps = int((ordered(got) - ordered(want)).abs().max())
    tiny = off <= largest * (2**-8 if want.dtype == torch.bfloat16 else 2**-11)
    bad = (steps > 1 and not tiny) or differ > max(1, share * x.numel())
    return f"{name}: {differ} of {x.numel()} values differ, by up to {steps} units" if bad else None


def as_bf16(folder):
    """The adapter's file with all values rounded, those of the base that it repeats, too."""
    path = folder + "/adapter_model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})


def tensors_of(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            out.update(load_file(folder + "/" + name))
    return out


def run(*words):
    return subprocess.run([FERRULE, *words], capture_output=True, text=True, check=False)


def one(name, model_name, make_config, exact, dtype, folder):
    label = f"{name} {dtype}"
    torch.manual_seed(0)
    base = models.spread(models.make_model(model_name)).to(models.DTYPES[dtype]).eval()
    base_dir, adapter_dir, out = folder + "/base", folder + "/adapter", folder + "/out"
    models.save_base(base, base_dir, shards=len(name) % 2 == 0)
    models.make_adapter(base, make_config(), adapter_dir)
    if name in ("dora_head_bf16", "vblora_ties_bf16"):
        as_bf16(adapter_dir)
    want = models.plain_names(models.merged(base, adapter_dir).state_dict())
    done = run("merge", adapter_dir, "--base", base_dir, "-o", out, "--json")
    if done.returncode != 0:
        return check(False, f"{label}: exit {done.returncode}: {(done.stderr + done.stdout).strip()[:300]}")
    report = json.loads(done.stdout)
    before, after = tensors_of(base_dir), tensors_of(out)
    check(set(before) == set(after), f"{label}: other tensors: {sorted(set(before) ^ set(after))[:3]}")
    changed = {n for file in report["files"] for n in file["changed"]}
    bad = []
    for key, tensor in after.items():
        live = key if key in want else to_live(key, want)
        if live is None:
            continue  # An expert on its own, compared by the fused tensor's test.
        wrong = compare(key, tensor, want[live].to(tensor.dtype), before[key], exact, 0.05 if (name, dtype) == ("osf", "f16") else 0.02)
        if wrong:
            bad.append(wrong)
        if key not in changed and not torch.equal(tensor, before[key]):
            bad.append(f"{key} changed and is not reported")
    check(any(not torch.equal(after[k], before[k]) for k in after), f"{label}: nothing changed")
    check(not bad, f"{label}: {bad[:2]} (+{max(0, len(bad) - 2)})")


# What cannot be made again from the file is refused, and the message says so.
REFUSED = {
    "psoft": ("llama", lambda: peft.PsoftConfig(r=4, psoft_alpha=4, target_modules=QV), "MG-3"),
    "adamss_full_rank": ("llama", lambda: peft.AdamssConfig(r=100, target_modules=["down_proj"]), "MG-3"),
    "interleaved": ("inkling2", lambda: lora(target_modules=[], target_parameters=["experts.gate_up_proj"]), "MG-10"),
    "grouped": ("convs", lambda: lora(r=4, target_modules=["c2g"]), "MG-3"),
    "lora_bias": ("llama", lambda: lora(lora_bias=True), "MG-3"),
    "prompt": ("llama", lambda: peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"), "MG-1"),
    "prefix": ("llama", lambda: peft.PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"), "MG-1"),
    "lily": ("llama", lambda: peft.LilyConfig(r=2, target_modules=QV), "MG-1"),
    "arrow": ("llama", lambda: lora(alora_invocation_tokens=[1, 2]), "MG-1"),
}


def refused(name, model_name, make_config, rule, folder):
    torch.manual_seed(0)
    base = models.make_model(model_name).eval()
    models.save_base(base, folder + "/base")
    peft.get_peft_model(base, make_config()).save_pretrained(folder + "/adapter")
    done = run("merge", folder + "/adapter", "--base", folder + "/base", "-o", folder + "/out")
    check(done.returncode == 1, f"{name}: exit {done.returncode}, want 1: {done.stderr[:200]}")
    check(f"[{rule}]" in done.stderr, f"{name}: {done.stderr[:200]}, want {rule}")
    check(sorted(os.listdir(folder)) == ["adapter", "base"], f"{name}: it left {sorted(os.listdir(folder))}")


EXPERTS = {"w1": ("gate_up_proj", 0), "w3": ("gate_up_proj", 1), "w2": ("down_proj", 0)}


def to_live(key, want):
    """Experts that transformers keeps fused: the slice becomes an entry of its own."""
    parts = key.split(".")
    if "block_sparse_moe" not in parts:
        return None
    at = parts.index("block_sparse_moe")
    if parts[at + 1] == "gate":
        return ".".join(parts[:at] + ["mlp", "gate", "weight"])
    expert, (name, half) = int(parts[at + 2]), EXPERTS[parts[at + 3]]
    fused = want[".".join(parts[:at] + ["mlp", "experts", name])][expert]
    if name == "gate_up_proj":
        fused = fused.chunk(2)[half]
    want[key] = fused
    return key


def main():
    for name, (model_name, make_config, exact) in CASES.items():
        quick = name.startswith("*")
        name = name.lstrip("*")
        if ONLY not in name or not (quick or ALL or ONLY):
            continue
        for dtype in ("f32", "bf16", "f16") if ALL or ONLY else ("f32", "bf16"):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    one(name, model_name, make_config, exact, dtype, folder)
                except Exception as error:  # A case that PEFT itself cannot make is one, too.
                    if "-v" in sys.argv:
                        traceback.print_exc()
                    check(False, f"{name} {dtype}: {type(error).__name__}: {str(error)[:200]}")
    for name, (model_name, make_config, rule) in REFUSED.items():
        if ONLY in name:
            with tempfile.TemporaryDirectory() as folder:
                refused(name, model_name, make_config, rule, folder)
    finish()


main()
