# SPDX-License-Identifier: Apache-2.0
"""Breaks adapters that PEFT saved, fixes them with `ferrule fix`, and loads the result with PEFT.

usage: check_fix.py FERRULE

What is fixed verifies, loads whole into a fresh base, and holds the very tensors that PEFT saved. What only a guess could
fix exits 1 and writes nothing.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import GQA, MODELS, P, QV, T
from safetensors.torch import load_file, save_file

FERRULE = sys.argv[1]
SAFE, BIN, CONFIG = "adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"


def llama():
    return T.LlamaForCausalLM(T.LlamaConfig(**GQA))


def rename(folder, *substitutions):
    def name(key):
        for pattern, replacement in substitutions:
            key = re.sub(pattern, replacement, key)
        return key

    save_file({name(k): v for k, v in load_file(folder / SAFE).items()}, folder / SAFE, metadata={"format": "pt"})


def edit(folder, **fields):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **fields}))


def stale_bin(folder):
    torch.save({k: v + 1 for k, v in load_file(folder / SAFE).items()}, folder / BIN)


def torch_file_misnamed(folder):
    torch.save(load_file(folder / SAFE), folder / BIN)
    (folder / BIN).rename(folder / SAFE)


def whole_bin_beside(folder, tensors):
    torch.save(load_file(folder / SAFE), folder / BIN)
    if tensors is None:
        (folder / SAFE).write_bytes(b"")
    else:
        save_file(tensors, folder / SAFE)


def bone(folder):
    rename(folder, (r"miss_block", "bone_block"))
    edit(folder, peft_type="BONE", runtime_config={})


def two_names(folder):
    tensors = load_file(folder / SAFE)
    save_file({k.replace(".weight", f".{'ab'['layers.1' in k]}.weight"): v for k, v in tensors.items()}, folder / SAFE)


LORA = lambda: P.LoraConfig(r=4, **QV)
DORA = lambda: P.LoraConfig(r=4, use_dora=True, **QV)
FULL = lambda: P.LoraConfig(r=4, target_modules=["language_model.layers.0.self_attn.q_proj"])
MISS = lambda: P.MissConfig(r=4, **QV)
SAVED = lambda: P.LoraConfig(r=4, **QV, modules_to_save=["lm_head"])

# name: (model, config, how it is broken, whether --base is given)
MENDED = {
    "nothing": (llama, LORA, lambda d: None, False),
    "torch_compile": (llama, LORA, lambda d: rename(d, (r"base_model\.model\.", "base_model.model._orig_mod.")), False),
    "torch_compile_outside": (llama, LORA, lambda d: rename(d, (r"^", "_orig_mod.")), False),
    "ddp": (llama, SAVED, lambda d: rename(d, (r"^", "module.")), False),
    "ddp_inside": (llama, LORA, lambda d: rename(d, (r"base_model\.model\.", "base_model.model.module.")), False),
    "fsdp": (llama, LORA, lambda d: rename(d, (r"layers\.(\d)\.", r"layers.\1._fsdp_wrapped_module.")), False),
    "adapter_name": (llama, LORA, lambda d: rename(d, (r"\.weight$", ".mine.weight")), False),
    "adapter_name_of_dora": (llama, DORA, lambda d: rename(d, (r"(lora_[AB])\.weight$", r"\1.mine.weight"), (r"lora_magnitude_vector$", "lora_magnitude_vector.mine.weight")), False),
    "key_prefix": (llama, LORA, lambda d: rename(d, (r"^base_model\.model\.", "")), False),
    "bone": (llama, MISS, bone, False),
    "stale_bin": (llama, LORA, stale_bin, False),
    "torch_file_misnamed": (llama, LORA, torch_file_misnamed, False),
    "safetensors_misnamed": (llama, LORA, lambda d: (d / SAFE).rename(d / BIN), False),
    "whole_bin_beside_no_bytes": (llama, LORA, lambda d: whole_bin_beside(d, None), False),
    "whole_bin_beside_no_tensors": (llama, LORA, lambda d: whole_bin_beside(d, {}), False),
    "wrapper_prefix_too_many": (llama, LORA, lambda d: rename(d, (r"model\.model\.layers", "model.model.language_model.layers")), True),
    "wrapper_prefix_lacking": (MODELS["llava"], lambda: P.LoraConfig(r=4, target_modules=r".*language_model.*\.q_proj"), lambda d: (rename(d, (r"model\.language_model\.", "model.")), edit(d, target_modules=["q_proj"], exclude_modules=r".*vision.*")), True),
    "everything": (llama, LORA, lambda d: (rename(d, (r"^base_model\.model\.", "_orig_mod.base_model.model.language_model."), (r"\.weight$", ".x.weight")), stale_bin(d)), True),
}

REFUSED = {
    "two_names": (llama, LORA, two_names, False),
    "half_a_pair": (llama, LORA, lambda d: save_file({k: v for k, v in load_file(d / SAFE).items() if "lora_B" not in k or "layers.1" in k}, d / SAFE), False),
    "foreign_tensors": (llama, LORA, lambda d: rename(d, (r"lora_A", "lora_C")), False),
}


def fix(folder, output, base):
    options = ["--base", base] if base else []
    done = subprocess.run([FERRULE, "fix", folder, "-o", output, "--json", *options], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def prepare(work, make, config, how):
    torch.manual_seed(0)
    model = P.get_peft_model(make(), config())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape))
    model.save_pretrained(work / "good")
    torch.manual_seed(0)
    make().save_pretrained(work / "base")
    shutil.copytree(work / "good", work / "broken")
    how(work / "broken")


def loads_whole(make, folder):
    """The tensors that PEFT has after loading, as it would save them."""
    torch.manual_seed(0)
    base = make()
    model = P.PeftModel.from_pretrained(base, folder, adapter_name="again")
    return P.get_peft_model_state_dict(model, adapter_name="again")


def mended(work, make, config, how, with_base):
    prepare(work, make, config, how)
    for output in (work / "out", work / "broken"):  # Elsewhere, then in place.
        code, answer = fix(work / "broken", output, work / "base" if with_base else None)
        if code != 0 or not answer["good"]:
            return f"exit {code}: {json.dumps(answer)[:600]}"
        verified = subprocess.run([FERRULE, "verify", output], capture_output=True, text=True)
        if verified.returncode != 0:
            return f"verify: {verified.stderr[-300:]}"
        want, file, live = load_file(work / "good" / SAFE), load_file(output / SAFE), loads_whole(make, output)
        if sorted(file) != sorted(want) or not all(torch.equal(file[k], want[k]) for k in want):
            return f"the file differs: {sorted(set(file) ^ set(want))[:4]}"
        if sorted(live) != sorted(want) or not all(torch.equal(live[k], want[k]) for k in want):
            return "PEFT did not load all of it"
        if (output / BIN).exists():
            return "adapter_model.bin is still there"
    code, answer = fix(work / "broken", work / "broken", None)
    if code != 0 or any(adapter["mended"] for adapter in answer["adapters"]):
        return f"a second run fixes again: {json.dumps(answer)[:300]}"
    return None


def per_expert(folder, parts, **fields):
    """Mixtral's experts one by one, as adapters for transformers 4 have them, beside q_proj and v_proj."""
    tensors = load_file(folder / SAFE)
    for layer in range(2):
        for expert in range(3):
            for part in parts:
                rows, columns = (32, 48) if part == "w2" else (48, 32)
                key = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}.{part}"
                tensors[f"{key}.lora_A.weight"] = torch.randn(2, columns)
                tensors[f"{key}.lora_B.weight"] = torch.randn(rows, 2)
    save_file(tensors, folder / SAFE, metadata={"format": "pt"})
    edit(folder, target_modules=["q_proj", "v_proj", *parts], **fields)
    return tensors


# name: (parts of each expert, fields, strength)
FUSED = {
    "rslora": (["w1", "w2", "w3"], dict(use_rslora=True, lora_alpha=4), 4 / 2**0.5),
    "gate_and_up_alone": (["w1", "w3"], dict(lora_alpha=4), 2.0),
    "patterns_and_dropout": (["w1", "w2", "w3"], dict(lora_alpha=8, alpha_pattern={"w[123]": 32, "[qv]_proj": 32}, lora_dropout=0.1), 16.0),
}


def fused(work, parts, fields, strength):
    """After the fix live PEFT adds to every expert what the single factors say."""
    prepare(work, MODELS["mixtral"], lambda: P.LoraConfig(r=2, **QV), lambda d: None)
    tensors = per_expert(work / "broken", parts, **fields)
    code, answer = fix(work / "broken", work / "out", work / "base")
    if code != 0:
        return f"exit {code}: {json.dumps(answer)[:600]}"
    before = T.MixtralForCausalLM.from_pretrained(work / "base").state_dict()
    after = P.PeftModel.from_pretrained(T.MixtralForCausalLM.from_pretrained(work / "base"), work / "out").merge_and_unload().state_dict()
    for layer in range(2):
        for expert in range(3):
            def delta(part):
                key = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}.{part}"
                rows, columns = (32, 48) if part == "w2" else (48, 32)
                if part not in parts:
                    return torch.zeros(rows, columns)
                return strength * tensors[f"{key}.lora_B.weight"] @ tensors[f"{key}.lora_A.weight"]

            at = f"model.layers.{layer}.mlp.experts."
            for name, want in (("gate_up_proj", torch.cat([delta("w1"), delta("w3")])), ("down_proj", delta("w2"))):
                found = after[at + name][expert] - before[at + name][expert]
                if not torch.allclose(found, want, atol=1e-3):
                    return f"{name} of expert {expert} is off by {(found - want).abs().max()}"
    return None


def refused(work, make, config, how, with_base):
    prepare(work, make, config, how)
    before = (work / "broken" / SAFE).read_bytes()
    for output in (work / "out", work / "broken"):
        code, answer = fix(work / "broken", output, None)
        if code != 1 or answer["written"] or not any(f["severity"] == "error" for f in answer["adapters"][0]["left"]):
            return f"exit {code}: {json.dumps(answer)[:400]}"
    if (work / "out").exists() or (work / "broken" / SAFE).read_bytes() != before:
        return "something was written"
    return None


def main():
    failed = []
    for cases, run in ((MENDED, mended), (REFUSED, refused), (FUSED, fused)):
        for name, case in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                problem = run(pathlib.Path(folder), *case)
            if problem:
                failed.append(f"{name}: {problem}")
    print("\n".join(failed))
    print(f"{len(MENDED) + len(REFUSED) + len(FUSED) - len(failed)} of {len(MENDED) + len(REFUSED) + len(FUSED)} as expected")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
