# SPDX-License-Identifier: Apache-2.0
"""What `ferrule check` takes as a base, what it says of inputs that are none, and the fingerprint of `ferrule save`.

usage: check_inputs.py FERRULE
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import GQA, MODELS, P, QV, T
from safetensors import safe_open
from safetensors.torch import save_file

FERRULE = sys.argv[1]
FAILED = []


def run(*arguments):
    return subprocess.run([FERRULE, *map(str, arguments)], capture_output=True, text=True)


def expect(name, done, code, verdict=None, said=""):
    problem = f"exit {done.returncode}, expected {code}: {(done.stdout + done.stderr)[-300:]}" if done.returncode != code else None
    if problem is None and verdict is not None:
        answer = json.loads(done.stdout)
        if set(answer["modules"]) != {"matched", "total"} or answer["verdict"] != verdict:
            problem = f"verdict {answer['verdict']}, expected {verdict}: {done.stdout[-300:]}"
        if any({"severity", "rule", "path", "key", "message", "advice"} - set(finding) for finding in answer["findings"]):
            problem = f"a finding lacks a field: {done.stdout[-300:]}"
    if problem is None and said not in done.stdout + done.stderr:
        problem = f"{said!r} is not said: {(done.stdout + done.stderr)[-300:]}"
    if problem:
        FAILED.append(f"{name}: {problem}")


def bases(work):
    """The same model as every kind of base."""
    torch.manual_seed(0)
    model = T.LlamaForCausalLM(T.LlamaConfig(**GQA))
    model.save_pretrained(work / "single")
    model.save_pretrained(work / "sharded", max_shard_size="20KB")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    (work / "states").mkdir()
    save_file(state, work / "states" / "state.safetensors")
    torch.save(state, work / "states" / "state.pt")
    torch.save({f"module._orig_mod.{k}": v for k, v in state.items()}, work / "states" / "wrapped.pt")
    P.get_peft_model(model, P.LoraConfig(r=4, **QV)).save_pretrained(work / "adapter")
    full = P.get_peft_model(T.LlamaForCausalLM(T.LlamaConfig(**GQA)), P.LoraConfig(r=4, **QV))
    torch.save(full.state_dict(), work / "states" / "peft.pt")


def kinds(work):
    adapter = work / "adapter"
    for base in ("single", "sharded", "sharded/model.safetensors.index.json", "single/model.safetensors", "states/state.safetensors", "states/state.pt", "states/wrapped.pt", "states/peft.pt"):
        expect(base, run("check", adapter, "--base", work / base, "--json"), 0, "ok")
    expect("table", run("check", adapter, "--base", work / "single"), 0, said="ok, 4 of 4 modules")
    expect("config alone", run("check", adapter, "--base", work / "single" / "config.json", "--json"), 1, "unknown")


def refusals(work):
    adapter, single = work / "adapter", work / "single"
    expect("no base", run("check", adapter, "--base", work / "nowhere", "--json"), 3, "unknown")
    expect("no adapter", run("check", work / "nowhere", "--base", single, "--json"), 3, "bad")
    expect("no --base", run("check", adapter), 2)
    expect("unknown engine", run("check", adapter, "--base", single, "--for", "vlm"), 2, said="vllm")
    expect("adapter as base", run("check", adapter, "--base", adapter, "--json"), 1, "unknown", said="BS-1")
    expect("base as adapter", run("check", single, "--base", single, "--json"), 1, "bad", said="AD-16")
    lost = work / "lost"
    shutil.copytree(work / "sharded", lost)
    sorted(lost.glob("*.safetensors"))[1].unlink()
    expect("missing shard", run("check", adapter, "--base", lost, "--json"), 1, "unknown", said="ST-23")
    hostile = work / "hostile"
    shutil.copytree(single, hostile)
    (hostile / "model.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    expect("hostile header", run("check", adapter, "--base", hostile, "--json"), 1, "unknown", said="ST-")
    (hostile / "model.safetensors").write_bytes(b"<html>not here</html>")
    expect("a web page", run("check", adapter, "--base", hostile, "--json"), 1, "unknown", said="ST-18")
    (hostile / "config.json").write_text("[1]")
    expect("config is a list", run("check", adapter, "--base", hostile, "--json"), 1, "unknown", said="CF-1")
    pattern = work / "pattern"
    shutil.copytree(adapter, pattern)
    config = json.loads((pattern / "adapter_config.json").read_text())
    (pattern / "adapter_config.json").write_text(json.dumps({**config, "target_modules": "(a+)+$("}))
    expect("broken expression", run("check", pattern, "--base", single, "--json"), 1, "bad", said="CF-20")


def fingerprints(work):
    config, single = work / "adapter" / "adapter_config.json", work / "single"
    save = ("save", work / "adapter" / "adapter_model.safetensors", "--config", config)
    state = work / "states" / "live.safetensors"
    model = P.get_peft_model(T.LlamaForCausalLM(T.LlamaConfig(**GQA)), P.LoraConfig(r=4, **QV))
    save_file({k: v.clone() for k, v in model.state_dict().items()}, state)
    save = ("save", state, "--config", config)
    expect("save", run(*save, "-o", work / "plain", "--base", single), 0)
    with safe_open(work / "plain" / "adapter_model.safetensors", "pt") as file:
        if file.metadata() != {"format": "pt"}:
            FAILED.append(f"a plain save writes metadata {file.metadata()}")
    expect("save --fingerprint", run(*save, "-o", work / "marked", "--base", work / "sharded", "--fingerprint"), 0)
    with safe_open(work / "marked" / "adapter_model.safetensors", "pt") as file:
        if len(file.metadata().get("ferrule.base_fingerprint", "")) != 64:
            FAILED.append(f"no fingerprint in {file.metadata()}")
    expect("the same base in one file", run("check", work / "marked", "--base", single, "--json"), 0, "ok")
    T.LlamaForCausalLM(T.LlamaConfig(**{**GQA, "intermediate_size": 64})).save_pretrained(work / "other")
    expect("another base", run("check", work / "marked", "--base", work / "other", "--json"), 0, "warn", said="BS-15")
    expect("converted", run("convert", work / "marked", "-o", work / "again"), 0)
    expect("another base after convert", run("check", work / "again", "--base", work / "other", "--json"), 0, "warn", said="BS-15")
    expect("--fingerprint alone", run(*save, "-o", work / "x", "--fingerprint"), 2)
    expect("--fingerprint of a config", run(*save, "-o", work / "x", "--base", single / "config.json", "--fingerprint"), 2)
    expect("--fingerprint in a torch file", run(*save, "-o", work / "x", "--base", single, "--fingerprint", "--format", "bin"), 2)


def taken_apart(work):
    """An adapter for Inkling 2 of transformers 5.23, on the base of 5.24, which keeps each projection inside a module."""
    base, old = work / "inkling2", work / "old_names"
    base.mkdir()
    old.mkdir()
    layer = {"wq_du": (32, 32), "wk_dv": (16, 32), "wv_dv": (16, 32), "wr_du": (8, 32), "wo_ud": (32, 32), "gate_attn": (32, 32)}
    tensors = {f"model.llm.layers.{n}.attn.{name}.weight": torch.zeros(shape) for n in range(2) for name, shape in layer.items()}
    save_file({"model.llm.embed.weight": torch.zeros(48, 32), "model.llm.unembed.weight": torch.zeros(48, 32), **tensors}, base / "model.safetensors")
    (base / "config.json").write_text(json.dumps({"architectures": ["Inkling2ForCausalLM"], "model_type": "inkling2_text"}))
    names = {"q_proj": (32, 32), "gate_proj": (32, 32), "r_proj": (8, 32)}
    factors = {}
    for n in range(2):
        for name, (rows, columns) in names.items():
            key = f"base_model.model.model.layers.{n}.self_attn.{name}"
            factors |= {f"{key}.lora_A.weight": torch.ones(4, columns), f"{key}.lora_B.weight": torch.ones(rows, 4)}
    save_file(factors, old / "adapter_model.safetensors")
    P.LoraConfig(r=4, target_modules=list(names)).save_pretrained(old)
    expect("names of transformers 5.23", run("check", old, "--base", base, "--json"), 1, "bad", said="BS-4")
    expect("fix of these names", run("fix", old, "-o", work / "new_names", "--base", base), 0)
    expect("names of transformers 5.24", run("check", work / "new_names", "--base", base, "--json"), 0, "ok")
    with safe_open(work / "new_names" / "adapter_model.safetensors", "pt") as file:
        found = {key.split(".self_attn.")[1].removesuffix(".lora_A.weight") for key in file.keys() if "lora_A" in key}
    if found != {"q_proj.linear", "o_proj.gate_proj", "relative_position_bias.linear"}:
        FAILED.append(f"fix wrote {sorted(found)}")


def engines(work):
    answer = json.loads(run("check", work / "adapter", "--base", work / "single", "--json").stdout)
    if [f for f in answer["findings"] if f["severity"] != "note"]:
        FAILED.append(f"unasked, engines are judged: {answer['findings']}")
    for engine in ("vllm", "sglang", "lorax", "tensorrt-llm", "llama.cpp", "lmdeploy", "mistral.rs"):
        done = run("check", work / "adapter", "--base", work / "single", "--for", engine, "--json")
        expect(f"plain LoRA for {engine}", done, 0)
    expect("mlx", run("check", work / "adapter", "--base", work / "single", "--for", "mlx", "--json"), 1, "bad", said="BS-20")
    table = json.loads((pathlib.Path(__file__).resolve().parents[2] / "src" / "check" / "engines.json").read_text())
    table["engines"].append({"id": "mine", "title": "Mine", "version": "2", "date": "2026-11-29", "facts": [
        {"feature": "strength", "behavior": "ignored", "until": "2", "read": "1 (2026-01-01)", "source": "mine.py"}]})
    (work / "engines.json").write_text(json.dumps(table))
    ours = ["check", work / "adapter", "--base", work / "single", "--engines", work / "engines.json", "--json", "--for"]
    expect("an engine of one's own", run(*ours, "mine"), 0)
    expect("at an older version", run(*ours, "mine@1.9"), 1, "bad", said="BS-22")
    expect("not in the table", run(*ours, "yours"), 2)
    (work / "engines.json").write_text("{}")
    expect("a table that is none", run(*ours, "vllm"), 1, said="BS-28")
    (work / "engines.json").unlink()
    expect("no such table", run(*ours, "vllm"), 3)
    expect("openvino", run("check", work / "adapter", "--base", work / "single", "--for", "openvino", "--json"), 1, "bad", said="0.5 times its strength of 2")


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        bases(work)
        for part in (kinds, refusals, fingerprints, taken_apart, engines):
            part(work)
    print("\n".join(FAILED) or "all as expected")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
