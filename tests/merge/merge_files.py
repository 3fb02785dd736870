# SPDX-License-Identifier: Apache-2.0
"""What a merge does with files: rounding once, dtypes, weights, torch shards, ties, in place, resumed, refused.

usage: merge_files.py FERRULE
"""
import copy
import json
import os
import shutil
import signal
import subprocess
import tempfile

import merge_models as models
import peft
import torch
import transformers
from checking import FERRULE, check, finish, run
from safetensors.torch import load_file, save_file


def tensors_of(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            out.update(load_file(folder + "/" + name))
        elif name.endswith(".bin"):
            out.update(torch.load(folder + "/" + name))
    return out


def same(a, b):
    return set(a) == set(b) and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in b)


def lora(**more):
    return peft.LoraConfig(**{"r": 3, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, **more})


def two_adapters(base, root, config=lora):
    folders = [f"{root}/one", f"{root}/two"]
    for seed, folder in enumerate(folders):
        models.make_adapter(base, config(), folder, seed=seed)
    return folders


def exact_sum(tensors, adapters, weights):
    out = {k: v.double() for k, v in tensors.items()}
    for folder, weight in zip(adapters, weights):
        state = load_file(folder + "/adapter_model.safetensors")
        for key in out:
            name = "base_model.model." + key.removesuffix(".weight")
            if name + ".lora_A.weight" in state:
                out[key] += weight * 8 / 3 * (state[name + ".lora_B.weight"].double() @ state[name + ".lora_A.weight"].double())
    return out


def rounding(root):
    for dtype in ("f32", "bf16"):
        base = models.spread(models.make_model("llama")).to(models.DTYPES[dtype]).eval()
        folder = f"{root}/base_{dtype}"
        models.save_base(base, folder, shards=True)
        adapters = two_adapters(base, f"{root}/{dtype}")
        truth = exact_sum(tensors_of(folder), adapters, (0.7, -0.5))
        for want in ("keep", "f32", "bf16", "f16"):
            out = f"{root}/once_{dtype}_{want}"
            run("merge", *adapters, "--base", folder, "-o", out, "--rounding", "once", "--dtype", want, "--weight", "0.7",
                "--weight=-0.5")
            got = tensors_of(out)
            off = {k: int((truth[k].to(v.dtype) != v).sum()) for k, v in got.items()}
            check(max(off.values()) <= 1, f"once {dtype} {want}: {off}")
            name = {"keep": dtype}.get(want, want)
            config = json.load(open(out + "/config.json", encoding="utf-8"))
            check(config["dtype"] == str(models.DTYPES[name]).removeprefix("torch."), f"config says {config['dtype']}")
        out = f"{root}/peft_{dtype}"
        run("merge", *adapters, "--base", folder, "-o", out, "--dtype", "bf16", "--weight", "0.7", "--weight", "1")
        want = models.merged(copy.deepcopy(base).to(torch.bfloat16), adapters, (0.7, 1)).state_dict()
        check(same(tensors_of(out), want), f"{dtype} as bf16 with weights is not PEFT's")


def files(root):
    base = models.spread(models.make_model("llama")).to(torch.bfloat16).eval()
    folder, out = f"{root}/base", f"{root}/out"
    models.save_base(base, folder, shards=True)
    open(folder + "/notes.txt", "w", encoding="utf-8").write("kept")
    adapters = two_adapters(base, root)
    run("merge", *adapters, "--base", folder, "-o", out)
    want = tensors_of(out)
    for kernels in ("plain", "avx2", "avx512"):
        run("merge", *adapters, "--base", folder, "-o", f"{root}/{kernels}", FERRULE_KERNELS=kernels)
        check(same(tensors_of(f"{root}/{kernels}"), want), f"kernels {kernels} give other bits")
    inodes = {f: os.stat(f"{folder}/{f}").st_ino for f in os.listdir(folder)}
    linked = [f for f in os.listdir(out) if os.stat(f"{out}/{f}").st_ino == inodes.get(f)]
    check(linked and all(f.endswith(".safetensors") for f in linked), f"linked: {linked}")
    run("merge", *adapters, "--base", folder, "-o", f"{root}/copied", "--copy")
    check(not [f for f in os.listdir(f"{root}/copied") if os.stat(f"{root}/copied/{f}").st_ino in inodes.values()], "--copy links")
    # In place, and only if told to.
    here = f"{root}/here"
    shutil.copytree(folder, here)
    check("MG-5" in run("merge", *adapters, "--base", here, "-o", here, code=2).stderr, "in place without --in-place")
    check("MG-5" in run("merge", *adapters, "--base", folder, "-o", out, code=2).stderr, "an output that exists")
    run("merge", *adapters, "--base", here, "-o", here, "--in-place")
    check(same(tensors_of(here), want) and sorted(os.listdir(here)) == sorted(os.listdir(out)), "in place differs")
    # Torch shards stay torch shards.
    torch_base = f"{root}/torch"
    os.makedirs(torch_base)
    state = base.state_dict()
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    parts = dict(zip(names, (dict(list(state.items())[:9]), dict(list(state.items())[9:]))))
    for name, part in parts.items():
        torch.save(part, f"{torch_base}/{name}")
    json.dump({"metadata": {"total_size": 1}, "weight_map": {k: n for n, part in parts.items() for k in part}},
              open(torch_base + "/pytorch_model.bin.index.json", "w", encoding="utf-8"))
    shutil.copy(folder + "/config.json", torch_base)
    run("merge", *adapters, "--base", torch_base, "-o", f"{root}/torch_out")
    check(same(tensors_of(f"{root}/torch_out"), want), "torch shards come out different")
    check(sorted(os.listdir(torch_base)) == sorted(os.listdir(f"{root}/torch_out")), "torch files")
    cache(root, folder, adapters[0])
    back = f"{root}/back"
    run("unmerge", *adapters, "--base", f"{root}/once", "-o", back, code=3)
    run("merge", *adapters, "--base", folder, "-o", f"{root}/wide", "--dtype", "f32")
    run("unmerge", *adapters, "--base", f"{root}/wide", "-o", back)
    for key, tensor in tensors_of(back).items():
        off = (tensor.double() - state[key].double()).norm() / state[key].double().norm()
        check(off < 1e-5, f"unmerge: {key} off by {off}")
    check([f for f in os.listdir(root) if f.startswith(".")] == [], "hidden files are left")


def cache(root, folder, adapter):
    """A base in the cache of the Hub: links to blobs, with what model repositories have beside the weights."""
    blobs, base, out = f"{root}/blobs", f"{root}/snapshot", f"{root}/from_cache"
    os.makedirs(blobs)
    os.makedirs(base + "/original")
    for number, name in enumerate(sorted(os.listdir(folder))):
        shutil.copy(f"{folder}/{name}", f"{blobs}/{number}")
        os.symlink(f"../blobs/{number}", f"{base}/{name}")
    os.symlink("nowhere", base + "/gone.txt")
    os.mkfifo(base + "/pipe")
    for name in ("consolidated.00.pth", "params.json"):
        open(f"{base}/original/{name}", "w", encoding="utf-8").write("{}")
    # Mistral's own form of the weights has an index, too.
    index = {"metadata": {}, "weight_map": {"tok_embeddings.weight": "consolidated-00001-of-00001.safetensors"}}
    json.dump(index, open(base + "/consolidated.safetensors.index.json", "w", encoding="utf-8"))
    report = json.loads(run("merge", adapter, "--base", base, "-o", out, "--json").stdout)
    run("merge", adapter, "--base", folder, "-o", f"{root}/from_files")
    check(same(tensors_of(out), tensors_of(f"{root}/from_files")), "from the cache it comes out different")
    check(sorted(os.listdir(out)) == sorted([*os.listdir(f"{root}/from_files"), "original"]), f"from the cache: {os.listdir(out)}")
    check(os.listdir(out + "/original") == ["params.json"] and "original/consolidated.00.pth" in report["left_out"], "original/")
    linked = [f["file"] for f in report["files"] if f["linked"]]
    check(linked and all(os.path.samefile(f"{out}/{name}", f"{base}/{name}") and not os.path.islink(f"{out}/{name}")
                         for name in linked), f"not the blobs: {linked}")


def killed(root):
    """A merge is killed while it writes; the next one finishes it, whatever it was left with."""
    base = models.make_model("llama").to(torch.bfloat16).eval()
    folder = f"{root}/base"
    models.save_base(base, folder, shards=True)
    # Shards large enough that there is time to kill it between two of them.
    shards = sorted(f for f in os.listdir(folder) if f.endswith(".safetensors"))
    index = json.load(open(folder + "/model.safetensors.index.json", encoding="utf-8"))
    for i, name in enumerate(shards):
        tensors = load_file(f"{folder}/{name}")
        tensors[f"extra.{i}"] = torch.randn(4 << 20).to(torch.bfloat16)
        index["weight_map"][f"extra.{i}"] = name
        save_file(tensors, f"{folder}/{name}", metadata={"format": "pt"})
    json.dump(index, open(folder + "/model.safetensors.index.json", "w", encoding="utf-8"))
    adapters = two_adapters(base, root, lambda: lora(target_modules="all-linear"))
    whole, out, work = f"{root}/whole", f"{root}/out", f"{root}/.out.ferrule-work"
    run("merge", *adapters, "--base", folder, "-o", whole)
    want = tensors_of(whole)
    for damage in ("none", "cut", "changed", "journal"):
        shutil.rmtree(out, ignore_errors=True)
        process = subprocess.Popen([FERRULE, "merge", *adapters, "--base", folder, "-o", out, "--durability", "fast"])
        while process.poll() is None:
            if os.path.exists(work + "/journal") and open(work + "/journal", encoding="utf-8").read().count("\n") >= 2:
                process.send_signal(signal.SIGKILL)
                break
        process.wait()
        if process.returncode == 0:
            continue  # It was done before it could be killed.
        check(not os.path.exists(out), f"{damage}: a killed merge left an output")
        done = [f for f in os.listdir(work) if f.endswith(".safetensors")]
        if damage == "cut":
            os.truncate(f"{work}/{sorted(done)[0]}", 100)
        elif damage == "changed":
            with open(f"{work}/{sorted(done)[0]}", "r+b") as f:
                f.seek(5000)
                f.write(b"\xff\x01\xff\x01")
        elif damage == "journal":
            open(work + "/journal", "a", encoding="utf-8").write("12 00 ../outside\n99999999999999999999999 x y\ntorn")
        report = json.loads(run("merge", *adapters, "--base", folder, "-o", out, "--resume", "--json").stdout)
        check(same(tensors_of(out), want), f"{damage}: what --resume made differs")
        if damage == "none":
            check(any(f["resumed"] for f in report["files"]), f"{damage}: nothing was taken up")
        check([f for f in os.listdir(root) if f.startswith(".")] == [], f"{damage}: hidden files are left")


def refusals(root):
    base = models.make_model("llama_bias").eval()
    folder = f"{root}/base"
    models.save_base(base, folder)
    before = tensors_of(folder)

    def refuse(rule, adapter, base_dir, command="merge", name=""):
        done = run(command, adapter, "--base", base_dir, "-o", f"{root}/out", code=1)
        check(f"[{rule}]" in done.stderr and name in done.stderr, f"{rule}: {done.stderr[:200]}")
        check(not os.path.exists(f"{root}/out") and not [f for f in os.listdir(root) if f.startswith(".")], f"{rule}: it left files")

    def variant(name, change):
        os.makedirs(f"{root}/{name}")
        shutil.copy(folder + "/config.json", f"{root}/{name}")
        save_file(change(dict(before)), f"{root}/{name}/model.safetensors", metadata={"format": "pt"})
        return f"{root}/{name}"

    adapter = f"{root}/adapter"
    models.make_adapter(base, lora(), adapter)
    without = variant("without", lambda t: {k: v for k, v in t.items() if "layers.1.self_attn.v_proj" not in k})
    done = run("merge", adapter, "--base", without, "-o", f"{root}/out", code=1)
    check("layers.1.self_attn.v_proj" in done.stderr, f"a module that the base lacks: {done.stderr[:200]}")
    eight = variant("eight", lambda t: {k: v.to(torch.float8_e4m3fn) if "q_proj.weight" in k else v for k, v in t.items()})
    refuse("MG-6", adapter, eight, name="q_proj")
    for name, config in (("dora", lora(use_dora=True)), ("saved", lora(modules_to_save=["lm_head"])), ("biases", lora(bias="all")),
                         ("hira", peft.HiraConfig(r=3, target_modules=["q_proj"], init_weights=False))):
        models.make_adapter(base, config, f"{root}/{name}")
        refuse("MG-9", f"{root}/{name}", folder, "unmerge")
    models.make_adapter(base, lora(bias="all"), f"{root}/all")
    lacking = variant("lacking", lambda t: {k: v for k, v in t.items() if k != "model.layers.0.self_attn.o_proj.bias"})
    done = run("merge", f"{root}/all", "--base", lacking, "-o", f"{root}/out", code=1)
    check("o_proj" in done.stderr, f"MG-2 names no module: {done.stderr[:200]}")


def ties(root):
    words = torch.arange(8)[None]
    for name, targets, more in (("embedding", ["embed_tokens"], {}), ("head", ["lm_head"], {}),
                                ("both", ["embed_tokens", "lm_head"], {}),
                                ("ensured", ["embed_tokens"], {"ensure_weight_tying": True}),
                                # PEFT does not know embeddings of other names.
                                ("unknown", ["wte"], {"ensure_weight_tying": True}),
                                ("saved", ["c_attn"], {"ensure_weight_tying": True, "modules_to_save": ["wte"]})):
        base = models.spread(models.make_model("gpt2" if name in ("unknown", "saved") else "qwen2")).eval()
        here = f"{root}/{name}"
        models.save_base(base, here + "/base")
        models.make_adapter(base, lora(target_modules=targets, **more), here + "/adapter")
        if name == "ensured":  # Training keeps them equal; random values do not.
            file = here + "/adapter/adapter_model.safetensors"
            state = load_file(file)
            at = "base_model.model.model.embed_tokens.lora_embedding_"
            state["base_model.model.lm_head.lora_A.weight"] = state[at + "B"].T.contiguous()
            state["base_model.model.lm_head.lora_B.weight"] = state[at + "A"].T.contiguous()
            save_file(state, file, metadata={"format": "pt"})
        run("merge", here + "/adapter", "--base", here + "/base", "-o", here + "/out")
        live = peft.PeftModel.from_pretrained(copy.deepcopy(base), here + "/adapter").eval()
        merged = transformers.AutoModelForCausalLM.from_pretrained(here + "/out").eval()
        with torch.no_grad():
            off = (live(words).logits - merged(words).logits).abs().max().item()
        check(off < 1e-4, f"tied, LoRA on {name}: logits off by {off}")
        check(merged.config.tie_word_embeddings == (name == "ensured"), f"{name}: tie_word_embeddings")


def seq2seq_ties(root):
    """The head of an encoder-decoder comes loose, or one of its embeddings: the others keep what they had."""
    words = torch.arange(3, 11)[None]
    for name in models.SEQ2SEQ:
        for target in ("lm_head", "decoder.embed_tokens"):
            base = models.spread(models.make_model(name)).eval()
            here = f"{root}/{name}.{target}"
            models.save_base(base, here + "/base")
            config = json.load(open(here + "/base/config.json", encoding="utf-8"))
            if config.pop("scale_decoder_outputs", None) is not None:  # Files of transformers 4 do not have it.
                json.dump(config, open(here + "/base/config.json", "w", encoding="utf-8"))
            models.make_adapter(base, lora(target_modules=f".*{target}"), here + "/adapter")
            run("merge", here + "/adapter", "--base", here + "/base", "-o", here + "/out")
            live = peft.PeftModel.from_pretrained(copy.deepcopy(base), here + "/adapter").eval()
            merged, report = type(base).from_pretrained(here + "/out", output_loading_info=True)
            check(not report["missing_keys"] and not report["unexpected_keys"], f"{name} {target}: {report}")
            with torch.no_grad():
                want, got = (m(input_ids=words, decoder_input_ids=words).logits for m in (live, merged.eval()))
            off = ((want - got).abs().max() / want.abs().max()).item()
            check(off < 1e-5, f"{name}, LoRA on {target}: logits off by {off}")


def main():
    for part in (rounding, files, killed, refusals, ties, seq2seq_ties):
        with tempfile.TemporaryDirectory() as root:
            torch.manual_seed(0)
            part(root)
    finish()


main()
