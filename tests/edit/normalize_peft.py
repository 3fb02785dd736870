# SPDX-License-Identifier: Apache-2.0
"""Normalises adapters of live models and compares what PEFT makes of them, before and after.

usage: normalize_peft.py FERRULE
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

transformers.logging.set_verbosity_error()
FERRULE = os.path.abspath(sys.argv[1])
FAILURES, CHECKS = [], 0


def check(ok, what):
    global CHECKS
    CHECKS += 1
    if not ok:
        FAILURES.append(what)


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32))


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2))


class Pictures(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3)
        self.grouped = torch.nn.Conv2d(8, 12, 3, groups=2)
        self.thirds = torch.nn.Conv2d(12, 12, 1, groups=3)
        self.line = torch.nn.Linear(12 * 4 * 4, 5)

    def forward(self, x):
        return self.line(self.thirds(self.grouped(self.stem(x))).flatten(1))


TOKENS = torch.arange(12).reshape(1, 12) % 48
IMAGE = torch.arange(3 * 8 * 8, dtype=torch.float32).reshape(1, 3, 8, 8) / 100
PATTERNS = {"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 9}, "alpha_pattern": {"v_proj": 3, "q_proj": 16}}
CASES = {
    "powers": (llama, TOKENS, {"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 8}),
    "plain": (llama, TOKENS, {"target_modules": ["q_proj"], "r": 4, "lora_alpha": 4}),
    "patterns": (llama, TOKENS, {"target_modules": ["q_proj", "v_proj", "up_proj"], "r": 4, "lora_alpha": 7, **PATTERNS}),
    "rslora": (llama, TOKENS, {"target_modules": ["q_proj", "v_proj", "up_proj"], "r": 5, "lora_alpha": 11.5,
                               "use_rslora": True, **PATTERNS}),
    "embedding": (llama, TOKENS, {"target_modules": ["embed_tokens", "q_proj"], "r": 4, "lora_alpha": 6,
                                  "rank_pattern": {"embed_tokens": 7}}),
    "saved": (llama, TOKENS, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"], "r": 3, "lora_alpha": 5}),
    "conv1d": (gpt2, TOKENS, {"target_modules": ["c_attn"], "r": 4, "lora_alpha": 10}),
    "convolutions": (Pictures, IMAGE, {"target_modules": ["stem", "grouped", "thirds", "line"], "r": 6, "lora_alpha": 9,
                                       "rank_pattern": {"stem": 7, "grouped": 4}, "use_rslora": True}),
    "negative": (llama, TOKENS, {"target_modules": ["q_proj"], "r": 4, "lora_alpha": -3}),
}


def make(name, folder):
    """A base and an adapter of random weights, as PEFT saves it."""
    build, inputs, options = CASES[name]
    torch.manual_seed(3)
    base = build()
    state = {key: value.clone() for key, value in base.state_dict().items()}
    model = get_peft_model(base, LoraConfig(**options))
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "lora_" in key or "modules_to_save" in key:
                value.copy_(torch.randn_like(value) * 0.1)
    model.save_pretrained(folder)
    return build, state, inputs


def load(made, folder):
    build, state, inputs = made
    base = build()
    base.load_state_dict(state)
    model = PeftModel.from_pretrained(base, folder).eval()
    with torch.no_grad():
        out = model(inputs)
    scalings = {path: (module.r["default"], module.scaling["default"])
                for path, module in model.base_model.model.named_modules() if isinstance(module, LoraLayer)}
    return (out.logits if hasattr(out, "logits") else out), scalings


def run(*words):
    return subprocess.run([FERRULE, "normalize", *map(str, words)], capture_output=True, text=True)


def normalize(folder, out, *options):
    done = run(folder, "-o", out, "--durability", "fast", "--json", *options)
    check(done.returncode == 0, f"{folder} {options}: {done.stderr}")
    return json.loads(done.stdout)


def live(base):
    for name in CASES:
        folder = base / name
        made = make(name, folder)
        before, old = load(made, folder)
        for rank in ("uniform", "keep"):
            for scale in ("b", "a", "split"):
                what = f"{name} {rank} {scale}"
                out = base / f"{name}-{rank}-{scale}"
                report = normalize(folder, out, "--rank", rank, "--scale", scale)
                config = json.loads((out / "adapter_config.json").read_text())
                after, new = load(made, out)
                check(set(new) == set(old), f"{what}: other layers")
                check(all(scaling == 1.0 for _, scaling in new.values()), f"{what}: strengths {new}")
                check(not config["use_rslora"] and config["lora_alpha"] == config["r"], f"{what}: {config}")
                check(config["alpha_pattern"] == config["rank_pattern"], f"{what}: patterns")
                if rank == "uniform":
                    check(config["rank_pattern"] == {} and {r for r, _ in new.values()} == {config["r"]}, f"{what}: {new}")
                else:
                    check({path: r for path, (r, _) in new.items()} == {path: r for path, (r, _) in old.items()}, f"{what}: {new}")
                error = (after - before).abs().max() / before.abs().max()
                check(error < 3e-6, f"{what}: logits differ by {error}")
                check(report["modules"] == len(old) and report["largest_relative_error"] < 1.2e-7, f"{what}: {report}")
                if name in ("powers", "plain"):
                    check(report["exact"] and report["largest_relative_error"] == 0, f"{what}: {report}")


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(
        a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))


def plain(folder, tensors, **config):
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "target_modules": ["q"], **config}))
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt", "mine": "kept"})
    return folder


A, B, A2, B2 = (f"base_model.model.{layer}.q.lora_{side}.weight" for layer in (0, 1) for side in "AB")


def bits(base):
    """Every product is torch's own: computed in F32, rounded once."""
    torch.manual_seed(5)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        for r, alpha, rslora in ((4, 8, False), (4, 7, False), (3, 1, False), (8, 16, True), (4, 0, False)):
            a, b = torch.randn(r, 40).to(dtype), torch.randn(24, r).to(dtype)
            wide_a, wide_b = torch.randn(r + 3, 40), torch.randn(24, r + 3).to(dtype)
            what = f"{dtype} r {r} alpha {alpha} rslora {rslora}"
            folder = plain(base / "bits" / what.replace(" ", "-"), {A: a, B: b, A2: wide_a, B2: wide_b}, r=r, lora_alpha=alpha,
                           use_rslora=rslora, rank_pattern={"1.q": r + 3})
            out = base / "bits-out" / folder.name
            report = normalize(folder, out)
            new = load_file(out / "adapter_model.safetensors")
            compute = torch.float64 if dtype == torch.float64 else torch.float32
            for key, tensor, rank in ((B, b, r), (B2, wide_b, r + 3)):
                strength = alpha / rank ** 0.5 if rslora else alpha / rank
                want = (tensor.to(compute) * strength).to(dtype)
                check(same_bits(new[key][:, :rank], want), f"{what}: {key}")
                check(not new[key][:, rank:].any(), f"{what}: {key} is not filled up with zeros")
            check(same_bits(new[A][:r], a) and not new[A][r:].any() and same_bits(new[A2], wide_a), f"{what}: A")
            before, after = b.double() @ a.double(), new[B].double() @ new[A].double()
            strength = alpha / r ** 0.5 if rslora else alpha / r
            if strength:
                error = ((before * strength - after).norm() / (before * strength).norm()).item()
                check(report["largest_relative_error"] >= error * 0.999 - (3e-16 if dtype == torch.float64 else 1e-18), f"{what}: {report} < {error}")
                check(report["exact"] == (report["largest_relative_error"] == 0), f"{what}: {report}")


def limits(base):
    big = torch.full((4, 4), 60000.0, dtype=torch.float16)
    folder = plain(base / "overflow", {A: torch.ones(4, 4, dtype=torch.float16) / 100, B: big}, r=4, lora_alpha=16)
    done = run(folder, "-o", base / "overflow-out")
    check(done.returncode == 1 and "[NM-7]" in done.stderr and not (base / "overflow-out").exists(), f"overflow: {done}")
    check(run(folder, "-o", base / "overflow-out", "--scale", "a").returncode == 0, "overflow with --scale a")
    small = torch.full((4, 4), 6e-8, dtype=torch.float16)
    folder = plain(base / "underflow", {A: torch.ones(4, 4, dtype=torch.float16), B: small}, r=4, lora_alpha=1)
    report = normalize(folder, base / "underflow-out")
    check([f["rule"] for f in report["findings"]] == ["NM-8"] and report["largest_relative_error"] == 1, f"{report}")
    check(not report["exact"], f"{report}")


def files(base):
    one = {A: torch.randn(2, 6), B: torch.randn(5, 2)}
    folder = plain(base / "files", one, r=2, lora_alpha=3, unknown_field=7)
    (folder / "README.md").write_text("mine")
    (folder / "tokenizer.json").write_text("{}")
    report = normalize(folder, base / "files-out")
    check(report["copied"] == ["README.md", "tokenizer.json"], f"{report}")
    check((base / "files-out/README.md").read_text() == "mine", "the card is carried along")
    config = json.loads((base / "files-out/adapter_config.json").read_text())
    check(config["unknown_field"] == 7, "unknown fields stay")
    with open(base / "files-out/adapter_model.safetensors", "rb") as file:
        check(b'"mine":"kept"' in file.read(400), "metadata stays")
    once = (base / "files-out/adapter_model.safetensors").read_bytes()
    report = normalize(base / "files-out", base / "files-out")
    check(report["in_place"] and report["folded"] == 0 and report["exact"], f"{report}")
    check((base / "files-out/adapter_model.safetensors").read_bytes() == once, "a normal form stays as it is")
    bin_folder = base / "bin"
    bin_folder.mkdir()
    (bin_folder / "adapter_config.json").write_text((folder / "adapter_config.json").read_text())
    torch.save(one, bin_folder / "adapter_model.bin")
    normalize(bin_folder, bin_folder)
    check(sorted(p.name for p in bin_folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"], "bin in place")
    check(same_bits(load_file(bin_folder / "adapter_model.safetensors")[B], load_file(base / "files-out/adapter_model.safetensors")[B]), "bin")


def refusals(base):
    one = {A: torch.randn(2, 6), B: torch.randn(5, 2)}
    magnitude = {**one, "base_model.model.0.q.lora_magnitude_vector": torch.ones(5)}
    bias = {**one, "base_model.model.0.q.lora_B.bias": torch.ones(5)}
    tied = {"base_model.model.q.lora_embedding_A": torch.randn(2, 6), "base_model.model.q.lora_embedding_B": torch.randn(5, 2)}
    for rule, tensors, config in (
            ("NM-1", {"base_model.model.0.q.hada_w1_a": torch.randn(5, 2), "base_model.model.0.q.hada_w1_b": torch.randn(2, 6),
                      "base_model.model.0.q.hada_w2_a": torch.randn(5, 2), "base_model.model.0.q.hada_w2_b": torch.randn(2, 6)},
             {"peft_type": "LOHA", "r": 2}),
            ("NM-2", magnitude, {"use_dora": True}), ("NM-3", bias, {"lora_bias": True}), ("NM-3", one, {"bias": "lora_only"}),
            *(("NM-4", one, {"init_lora_weights": init}) for init in ("pissa", "pissa_niter_4", "olora", "corda", "lora_ga")),
            ("NM-5", one, {"alora_invocation_tokens": [1]}), ("NM-5", one, {"layer_replication": [[0, 2]]}),
            ("NM-5", tied, {"ensure_weight_tying": True, "lora_alpha": 4}),
            ("NM-6", {A: torch.randn(2, 6).to(torch.float8_e4m3fn), B: torch.randn(5, 2)}, {}),
            ("AD-4", {A: torch.randn(2, 6)}, {}), ("AD-5", one, {"r": 3})):
        folder = plain(base / "refused" / f"{rule}-{len(FAILURES) + CHECKS}", tensors, **{"r": 2, "lora_alpha": 2, **config})
        out = base / "refused-out"
        done = run(folder, "-o", out, "--json")
        check(done.returncode == 1 and f"[{rule}]" in done.stderr and not out.exists(), f"{rule} {config}: {done}")
        check(json.loads(done.stdout)["error"]["rule"] == rule, f"{rule}: {done.stdout}")
    check(run(base / "nowhere", "-o", base / "x").returncode == 3, "missing")
    check(run(base / "files").returncode == 2, "usage")


def main():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        for part in (live, bits, limits, files, refusals):
            part(base)
    for failure in FAILURES[:20]:
        print(failure)
    print(f"normalize: {CHECKS} checks, {len(FAILURES)} failed")
    return 1 if FAILURES or CHECKS < 400 else 0


if __name__ == "__main__":
    sys.exit(main())
