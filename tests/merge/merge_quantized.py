# SPDX-License-Identifier: Apache-2.0
"""Merges into quantized bases: each layer comes out as its library dequantizes it, and with the adapter merged as
PEFT merges it into a model of these weights.

usage: merge_quantized.py FERRULE [--live]

Without --live the quantized layers are those of tests/merge/quantized, which quantized_bases.py wrote with the
libraries themselves; with it they are made again, in other sizes, by the libraries that it names.
"""
import copy
import json
import os
import sys
import tempfile

import merge_models as models
import peft
import quantized_bases as bases
import torch
import transformers
from checking import check, finish, run
from safetensors import safe_open
from safetensors.torch import load_file, save_file

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantized")
# Both become the quantized weight: one with an adapter, and one that no adapter touches.
TOUCHED, UNTOUCHED = "model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"


def all_tensors(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            out.update(load_file(f"{folder}/{name}"))
    return out


def llama(out, columns):
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=53, hidden_size=columns, intermediate_size=out, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, tie_word_embeddings=False))


def save_quantized(model, folder, tensors, config, shards):
    """The model with the quantized tensors in the place of two weights, in one file or in many."""
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    for path in (TOUCHED, UNTOUCHED):
        del state[path + ".weight"]
        state.update({f"{path}.{k}": v.clone() for k, v in tensors.items()})
    os.makedirs(folder)
    model.config.save_pretrained(folder)
    written = json.load(open(folder + "/config.json", encoding="utf-8"))
    written["quantization_config"] = config
    json.dump(written, open(folder + "/config.json", "w", encoding="utf-8"))
    open(folder + "/quantize_config.json", "w", encoding="utf-8").write("{}")
    if not shards:
        save_file(state, folder + "/model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(state)
    where = {}
    for number in range(3):  # A weight's tensors are in different shards.
        part = {name: state[name] for name in names[number::3]}
        file = f"model-0000{number + 1}-of-00003.safetensors"
        save_file(part, f"{folder}/{file}", metadata={"format": "pt"})
        where.update({name: file for name in part})
    json.dump({"metadata": {"total_size": 1}, "weight_map": where}, open(folder + "/model.safetensors.index.json", "w", encoding="utf-8"))


def one(name, tensors, want, config, shards, root):
    out, columns = want.shape
    torch.manual_seed(0)
    model = models.spread(llama(out, columns)).to(torch.bfloat16).eval()
    for path in (TOUCHED, UNTOUCHED):
        model.get_submodule(path).weight.data = want.to(torch.bfloat16)
    base, adapter = f"{root}/base", f"{root}/adapter"
    models.make_adapter(model, peft.LoraConfig(r=4, target_modules=r".*layers\.0\.mlp\.up_proj", init_lora_weights=False), adapter)
    save_quantized(model, base, tensors, config, shards)
    refused = run("merge", adapter, "--base", base, "-o", f"{root}/out", code=1)
    check("[MG-6]" in refused.stderr and "--dtype" in refused.stderr and "up_proj" in refused.stderr, f"{name}: {refused.stderr[:300]}")
    for dtype in ("bf16", "f16", "f32"):
        live = copy.deepcopy(model)
        for path in (TOUCHED, UNTOUCHED):
            live.get_submodule(path).weight.data = want
        live = live.to(models.DTYPES[dtype])
        merged = models.merged(live, adapter).state_dict()
        run("merge", adapter, "--base", base, "-o", f"{root}/{dtype}", "--dtype", dtype)
        got = all_tensors(f"{root}/{dtype}")
        check(set(got) == set(merged), f"{name} {dtype}: tensors {sorted(set(got) ^ set(merged))[:4]}")
        for key in sorted(set(got) & set(merged)):
            same = got[key].dtype == merged[key].dtype and torch.equal(got[key], merged[key])
            check(same, f"{name} {dtype}: {key}: {int((got[key] != merged[key]).sum())} of {got[key].numel()} values differ")
        written = json.load(open(f"{root}/{dtype}/config.json", encoding="utf-8"))
        check("quantization_config" not in written, f"{name}: the config still says that it is quantized")
        check("quantize_config.json" not in os.listdir(f"{root}/{dtype}"), f"{name}: quantize_config.json is kept")
        if dtype != "bf16":
            continue
        loaded, report = transformers.AutoModelForCausalLM.from_pretrained(f"{root}/{dtype}", output_loading_info=True)
        check(not report["missing_keys"] and not report["unexpected_keys"], f"{name}: {report}")
        check(torch.equal(loaded.state_dict()[TOUCHED + ".weight"], merged[TOUCHED + ".weight"]), f"{name}: transformers reads other values")
    run("merge", adapter, "--base", base, "-o", f"{root}/once", "--dtype", "f32", "--rounding", "once")
    once, close = all_tensors(f"{root}/once")[UNTOUCHED + ".weight"].double(), want.double()
    off = ((once - close).abs().max() / close.abs().max()).item()
    check(off < (1e-6 if want.dtype == torch.float32 else 2**-8), f"{name}, rounded once: off by {off}")
    undone = run("unmerge", adapter, "--base", base, "-o", f"{root}/undone", "--dtype", "bf16", code=1)
    check("[MG-9]" in undone.stderr, f"{name}: unmerge: {undone.stderr[:200]}")
    check([f for f in os.listdir(root) if f.startswith(".")] == [], f"{name}: hidden files are left")


def gpt_oss(root):
    """MXFP4 experts, whose weight is the transpose of what the blocks hold; dequantized by transformers."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    torch.manual_seed(0)
    model = transformers.GptOssForCausalLM(transformers.GptOssConfig(
        vocab_size=53, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        head_dim=16, num_local_experts=3, num_experts_per_tok=2, max_position_embeddings=32)).to(torch.bfloat16).eval()
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    for name in ("gate_up_proj", "down_proj"):
        key = f"model.layers.0.mlp.experts.{name}"
        experts, columns, rows = state.pop(key).shape
        state[key + "_blocks"] = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8)
        state[key + "_scales"] = torch.randint(115, 125, (experts, rows, columns // 32), dtype=torch.uint8)
        model.get_parameter(key).data = convert_moe_packed_tensors(state[key + "_blocks"], state[key + "_scales"], dtype=torch.bfloat16)
    base = f"{root}/base"
    os.makedirs(base)
    model.config.save_pretrained(base)
    written = json.load(open(base + "/config.json", encoding="utf-8"))
    written["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}
    json.dump(written, open(base + "/config.json", "w", encoding="utf-8"))
    save_file(state, base + "/model.safetensors", metadata={"format": "pt"})
    for label, config in (("experts", peft.LoraConfig(r=3, target_modules=["q_proj"], init_lora_weights=False,
                                                      target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])),
                          ("attention", peft.LoraConfig(r=3, target_modules=["q_proj"], init_lora_weights=False))):
        models.make_adapter(model, config, f"{root}/{label}")
        want = models.merged(model, f"{root}/{label}").state_dict()
        run("merge", f"{root}/{label}", "--base", base, "-o", f"{root}/{label}_out", "--dtype", "bf16")
        got = all_tensors(f"{root}/{label}_out")
        check(set(got) == set(want), f"gpt-oss {label}: tensors {sorted(set(got) ^ set(want))[:4]}")
        for key in sorted(set(got) & set(want)):
            check(torch.equal(got[key], want[key]), f"gpt-oss {label}: {key}: {int((got[key] != want[key]).sum())} values differ")
    # Without --dtype the experts stay as they are, as long as no adapter wants to change them.
    run("merge", f"{root}/attention", "--base", base, "-o", f"{root}/kept")
    kept, before = all_tensors(f"{root}/kept"), all_tensors(base)
    check(set(kept) == set(before) and all(torch.equal(kept[k], before[k]) for k in before if "q_proj" not in k), "gpt-oss: kept")
    check("--dtype" in run("merge", f"{root}/experts", "--base", base, "-o", f"{root}/no", code=1).stderr, "gpt-oss: refused")


def broken(root):
    """Tensors that do not fit each other are refused before anything is written."""
    tensors, want, config = bases.fp8_blocks()
    model = llama(*want.shape).to(torch.bfloat16)
    models.make_adapter(model, peft.LoraConfig(r=4, target_modules=["up_proj"], init_lora_weights=False), f"{root}/adapter")
    for label, change in (("short", lambda t: {**t, "weight_scale_inv": t["weight_scale_inv"][:, :1].contiguous().expand(-1, 5).contiguous()}),
                          ("words", lambda t: {**t, "weight_scale_inv": t["weight_scale_inv"].long()})):
        save_quantized(model, f"{root}/{label}", change(tensors), config, False)
        done = run("merge", f"{root}/adapter", "--base", f"{root}/{label}", "-o", f"{root}/out", "--dtype", "bf16", code=1)
        check("[MG-11]" in done.stderr and "up_proj" in done.stderr, f"{label}: {done.stderr[:200]}")
    check(sorted(os.listdir(root)) == ["adapter", "short", "words"], f"it left {sorted(os.listdir(root))}")


def conv1d(root):
    """GPT-2's layers are stored turned over, and bitsandbytes turns them back before it quantizes them."""
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=53, n_embd=32, n_layer=1, n_head=2, n_positions=32))
    models.make_adapter(model, peft.LoraConfig(r=4, target_modules=["c_attn"], init_lora_weights=False), f"{root}/adapter")
    state = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    key = "transformer.h.0.attn.c_proj.weight"
    state[key], state[key.replace("weight", "SCB")] = torch.ones(32, 32, dtype=torch.int8), torch.ones(32)
    # The adapter's own layer does not even fit its file.
    key = "transformer.h.0.attn.c_attn.weight"
    state[key], state[key.replace("weight", "SCB")] = torch.ones(96, 32, dtype=torch.int8), torch.ones(96)
    os.makedirs(f"{root}/base")
    model.config.architectures = ["GPT2LMHeadModel"]
    model.config.save_pretrained(f"{root}/base")
    save_file(state, f"{root}/base/model.safetensors", metadata={"format": "pt"})
    done = run("merge", f"{root}/adapter", "--base", f"{root}/base", "-o", f"{root}/out", "--dtype", "bf16", code=1)
    check("[MG-6]" in done.stderr and "Conv1D" in done.stderr, f"Conv1D: {done.stderr[:200]}")


def cases(wanted):
    yield from ((name, *make()) for name, make in bases.PINNED.items() if wanted(name))
    if "--live" in sys.argv:
        yield from ((name, *make()) for name, make in bases.CASES.items() if wanted(name))
        return
    for name in filter(wanted, bases.CASES):
        with safe_open(f"{FIXTURES}/{name}.safetensors", "pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}
            config = json.loads(file.metadata()["quantization_config"])
        want = tensors.pop("want")
        yield name, {k.removeprefix("in."): v for k, v in tensors.items()}, want, config


def main():
    only = [a for a in sys.argv[2:] if not a.startswith("-")]
    for number, (name, *rest) in enumerate(cases(lambda name: not only or any(o in name for o in only))):
        with tempfile.TemporaryDirectory() as root:
            one(name, *rest, number % 2 == 0, root)
    for part in (gpt_oss, broken, conv1d):
        if not only or part.__name__ in only:
            with tempfile.TemporaryDirectory() as root:
                part(root)
    finish()


main()
