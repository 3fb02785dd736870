#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `convert` with what people run today: see README.md beside this file.

    python convert_bench.py FERRULE --llama-cpp FOLDER [--rounds N] [--only TEXT] [--json FILE]

FERRULE is the command. FOLDER has llama.cpp's convert_lora_to_gguf.py and gguf-py: the source that the npm package
node-llama-cpp ships (`git clone node_modules/node-llama-cpp/llama/gitRelease.bundle FOLDER`). Run it with a Python that
has torch, transformers and safetensors. Each conversion is a process of its own; its time and its memory are the system's.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import side_by_side

BASE = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
        "num_attention_heads": 32, "num_key_value_heads": 32, "num_hidden_layers": 32, "vocab_size": 32000,
        "tie_word_embeddings": False, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0}
MOE = {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "moe_intermediate_size": 768,
       "num_experts": 128, "num_hidden_layers": 8, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
       "tie_word_embeddings": False}
GOAL_MEMORY = 64 << 20

# What a user's own script does, and nothing more.
MLX = """
import json, sys, time, pathlib, torch
from safetensors.torch import load_file, save_file
start = time.perf_counter_ns()
source, out = map(pathlib.Path, sys.argv[1:])
config = json.loads((source / "adapter_config.json").read_text())
tensors = {}
for name, value in load_file(source / "adapter_model.safetensors").items():
    name = name.removeprefix("base_model.model.").replace(".lora_A.weight", ".lora_a").replace(".lora_B.weight", ".lora_b")
    tensors[name] = value.T.contiguous()
out.mkdir()
save_file(tensors, out / "adapters.safetensors", metadata={"format": "mlx"})
keys = sorted({name.rsplit(".", 1)[0] for name in tensors})
(out / "adapter_config.json").write_text(json.dumps({"fine_tune_type": "lora", "num_layers": 0, "lora_parameters": {
    "rank": config["r"], "scale": config["lora_alpha"] / config["r"], "dropout": 0.0, "keys": keys}}))
print("inner", time.perf_counter_ns() - start)
"""
KOHYA = """
import json, sys, time, pathlib, torch
from safetensors.torch import load_file, save_file
start = time.perf_counter_ns()
source, out = map(pathlib.Path, sys.argv[1:])
config = json.loads((source / "unet/adapter_config.json").read_text())
tensors = {}
for name, value in load_file(source / "unet/adapter_model.safetensors").items():
    path, _, factor = name.removeprefix("base_model.model.").rpartition(".lora_")
    stem = "lora_unet_" + path.replace(".", "_")
    tensors[stem + (".lora_down.weight" if factor == "A.weight" else ".lora_up.weight")] = value
    tensors[stem + ".alpha"] = torch.tensor(float(config["lora_alpha"]))
save_file(tensors, out, metadata={"format": "pt"})
print("inner", time.perf_counter_ns() - start)
"""
# llama.cpp's script as it is; what it imports is there before its own time starts.
LLAMA = """
import runpy, sys, time
import torch, transformers, gguf, safetensors.torch, numpy
script, source, base, out = sys.argv[1:]
sys.path.insert(0, script.rpartition("/")[0])
sys.argv = [script, "--base", base, "--outfile", out, "--outtype", "f32", source]
start = time.perf_counter_ns()
try:
    runpy.run_path(script, run_name="__main__")
finally:
    print("inner", time.perf_counter_ns() - start)
"""


def save_peft(folder, tensors, rank, **fields):
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, **fields}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({f"base_model.model.{name}": value for name, value in tensors.items()}, folder / "adapter_model.safetensors",
              metadata={"format": "pt"})


def make_llama(folder, rank, dtype):
    import torch

    torch.manual_seed(1)
    hidden, wide = BASE["hidden_size"], BASE["intermediate_size"]
    shapes = {f"self_attn.{name}_proj": (hidden, hidden) for name in "qkvo"}
    shapes |= {"mlp.gate_proj": (hidden, wide), "mlp.up_proj": (hidden, wide), "mlp.down_proj": (wide, hidden)}
    tensors = {}
    for layer in range(BASE["num_hidden_layers"]):
        for name, (inputs, outputs) in shapes.items():
            path = f"model.layers.{layer}.{name}"
            tensors[path + ".lora_A.weight"] = (torch.randn(rank, inputs) / 64).to(dtype)
            tensors[path + ".lora_B.weight"] = (torch.randn(outputs, rank) / 64).to(dtype)
    save_peft(folder, tensors, rank, target_modules=[name.split(".")[1] for name in shapes])


def make_unet(folder, rank):
    """Attention of an SDXL-like U-Net, 640 modules."""
    import torch

    tensors = {}
    for block in range(2):
        for number in range(2):
            for layer in range(10):
                for which, width in (("attn1", 1280), ("attn2", 2048)):
                    for name in ("to_q", "to_k", "to_v", "to_out.0"):
                        path = f"down_blocks.{block + 1}.attentions.{number}.transformer_blocks.{layer}.{which}.{name}"
                        inputs = width if name in ("to_k", "to_v") else 1280
                        tensors[path + ".lora_A.weight"] = torch.randn(rank, inputs) / 64
                        tensors[path + ".lora_B.weight"] = torch.randn(1280, rank) / 64
    save_peft(folder / "unet", tensors, rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"])


def make_experts(folder, rank):
    import torch

    hidden, wide, count = MOE["hidden_size"], MOE["moe_intermediate_size"], MOE["num_experts"]
    tensors = {}
    for layer in range(MOE["num_hidden_layers"]):
        for expert in range(count):
            for name, (inputs, outputs) in (("gate_proj", (hidden, wide)), ("up_proj", (hidden, wide)), ("down_proj", (wide, hidden))):
                path = f"model.layers.{layer}.mlp.experts.{expert}.{name}"
                tensors[path + ".lora_A.weight"] = (torch.randn(rank, inputs) / 64).to(torch.bfloat16)
                tensors[path + ".lora_B.weight"] = (torch.randn(outputs, rank) / 64).to(torch.bfloat16)
    save_peft(folder, tensors, rank, target_modules=["gate_proj", "up_proj", "down_proj"])


def run(words, environment=None):
    """Nanoseconds of the process, and those that it printed as its own."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter_ns()
        done = subprocess.run([str(word) for word in words], stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
        elapsed = time.perf_counter_ns() - start
        output.seek(0)
        text = output.read().decode(errors="replace")
    if done.returncode != 0:
        side_by_side.fail(f"{words[0]} failed: {text[-600:]}")
    inner = [int(line.split()[1]) for line in text.splitlines() if line.startswith("inner ")]
    return elapsed, inner[0] if inner else None


def memory_of(words):
    """The largest memory of the process, in bytes. Of a child of a small process: a child of this one counts its memory, too."""
    with tempfile.NamedTemporaryFile("r") as note:
        subprocess.run(["/usr/bin/time", "-f", "%M", "-o", note.name, *map(str, words)], stdout=subprocess.DEVNULL, check=True)
        return int(note.read()) * 1024


def removed(path):
    if path.is_dir():
        for inside in path.iterdir():
            inside.unlink() if inside.is_file() else removed(inside)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    return path


def sizes(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def compare(title, rounds, ours, peer, goal, inner_goal, record):
    """`ours` and `peer` give the words of a process that writes the path that they are given."""
    times = {"ours": [], "peer": [], "inner": []}
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-") as folder:
        for number in range(rounds + 1):
            a, b = removed(pathlib.Path(folder) / "a"), removed(pathlib.Path(folder) / "b")
            elapsed, _ = run(ours(a))
            if peer is not None:
                command, environment = peer(b)
                other, inner = run(command, environment)
                if not 0.9 < sizes(a) / sizes(b) < 1.1:
                    side_by_side.fail(f"{title}: {sizes(a)} bytes and {sizes(b)} bytes are not the same work")
            if number == 0:
                continue
            times["ours"].append(elapsed / 1e6)
            if peer is not None:
                times["peer"].append(other / 1e6)
                times["inner"].append(inner / 1e6)
        memory = memory_of(ours(removed(a)))
    mine = statistics.median(times["ours"])
    row = {"title": title, "rounds": rounds, "ours_ms": times["ours"], "memory_mib": round(memory / (1 << 20), 1)}
    text = f"{title:44} {mine:9.1f}ms"
    if peer is not None:
        command, inner = statistics.median(times["peer"]), statistics.median(times["inner"])
        row |= {"peer_ms": times["peer"], "inner_ms": times["inner"], "ratio": command / mine, "inner_ratio": inner / mine}
        text += f" {command:9.1f}ms {command / mine:7.1f}x {goal:>4} {inner:9.1f}ms {inner / mine:6.1f}x {inner_goal:>4}"
    else:
        text += " " * 48
    text += f" {memory / (1 << 20):8.1f} MiB" + ("" if memory <= GOAL_MEMORY else "  (goal 64)")
    print(text, flush=True)
    record["results"].append(row)


def main():
    import torch

    parser = side_by_side.arguments(__doc__, 5, "ferrule")
    parser.add_argument("--llama-cpp", required=True, type=pathlib.Path)
    options = parser.parse_args()
    record = side_by_side.record_of(torch=torch.__version__)
    ferrule, llama = os.path.abspath(options.ferrule), options.llama_cpp.resolve()
    environment = {**os.environ, "PYTHONPATH": str(llama / "gguf-py"), "HF_HUB_OFFLINE": "1"}
    print(f"{'':44} {'ours':>11} {'peer':>11} {'ratio':>8} {'goal':>4} {'its inner':>11} {'ratio':>7} {'goal':>4} {'our memory':>12}")
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-", dir=options.folder) as folder:
        folder = pathlib.Path(folder)
        for name, config in (("llama", BASE), ("moe", MOE)):
            (folder / name).mkdir()
            (folder / name / "config.json").write_text(json.dumps(config))
        made = {}

        def source(name, make, *how):
            if name not in made:
                make(folder / name, *how)
                made[name] = folder / name
            return made[name]

        def ours(source_folder, to, *more):
            return lambda out: [ferrule, "convert", source_folder, "-o", out, "--to", to, "--durability", "fast", *more]

        def script(text, *words):
            return lambda out: ([sys.executable, "-c", text, *words, out], environment)

        for title, rank, dtype in (("42 MB", 8, torch.bfloat16), ("160 MB", 16, torch.float32)):
            for to in ("gguf", "mlx"):
                row = f"{to}, 7B, {title}"
                if options.only not in row:
                    continue
                adapter = source(title, make_llama, rank, dtype)
                text = (LLAMA, llama / "convert_lora_to_gguf.py", adapter, folder / "llama") if to == "gguf" else (MLX, adapter)
                compare(row, options.rounds, ours(adapter, to, "--base", folder / "llama"), script(*text),
                        "20x" if to == "gguf" else "5x", "5x" if to == "gguf" else "", record)
        if options.only in "kohya, 42 MB":
            adapter = source("unet", make_unet, 16)
            compare("kohya, 42 MB", options.rounds, ours(adapter, "kohya", "--arch", "sdxl"), script(KOHYA, adapter), "5x", "",
                    record)
        for to in ("fused-expert", "gguf", "mlx"):
            row = f"{to}, 3,072 experts, 130 MB"
            if options.only in row:
                adapter = source("experts", make_experts, 8)
                compare(row, options.rounds, ours(adapter, to, "--base", folder / "moe"), None, "", "", record)
    side_by_side.write(options.json, record)


if __name__ == "__main__":
    main()
