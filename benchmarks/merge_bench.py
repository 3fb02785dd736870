# SPDX-License-Identifier: Apache-2.0
"""Merges a rank 16 adapter of all linear layers into a 7B-shaped bf16 shard: ferrule, PEFT, and a plain copy.

    python merge_bench.py FERRULE [--layers N] [--shards N] [--rounds N] [--folder DIR] [--json FILE]

Two layers are about 0.8 GiB with the head. Needs torch, transformers and peft, whose figures are the peer's. Ours are a
process from start to end, without flushing to the disk; PEFT's are merge_and_unload() and save_pretrained() of a model
that is loaded already, which is more than we leave out. Memory is the largest sum of anonymous pages of our process.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time


def make(folder, layers, shards):
    import peft
    import torch
    import transformers
    config = transformers.LlamaConfig(vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=layers,
                                      num_attention_heads=32, max_position_embeddings=64)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
    size = sum(p.numel() * 2 for p in model.parameters())
    model.save_pretrained(folder + "/base", max_shard_size=size // shards + (64 << 20))
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", init_lora_weights=False))
    adapted.save_pretrained(folder + "/adapter")


def peft_round(folder):
    """In a process of its own: loading is not counted."""
    code = f"""
import time, torch, transformers, peft
torch.set_num_threads({os.cpu_count()})
model = transformers.AutoModelForCausalLM.from_pretrained({folder + "/base"!r})
model = peft.PeftModel.from_pretrained(model, {folder + "/adapter"!r})
start = time.monotonic()
model = model.merge_and_unload()
merged = time.monotonic()
model.save_pretrained({folder + "/peft"!r})
print(merged - start, time.monotonic() - start)
"""
    out = subprocess.run(["python3" if not os.environ.get("PEFT_PYTHON") else os.environ["PEFT_PYTHON"], "-c", code],
                         capture_output=True, text=True, check=True).stdout.split()
    shutil.rmtree(folder + "/peft")
    return float(out[-2]), float(out[-1])


def anonymous_bytes(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) << 10 for line in f if line.startswith("Anonymous:"))
    except (OSError, StopIteration):
        return 0


def our_round(ferrule, folder, threads):
    start = time.monotonic()
    process = subprocess.Popen([ferrule, "merge", folder + "/adapter", "--base", folder + "/base", "-o", folder + "/ours",
                                "--threads", str(threads), "--durability", "fast", "--json"], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, anonymous_bytes(process.pid))
        time.sleep(0.005)
    took = time.monotonic() - start
    assert process.returncode == 0
    shutil.rmtree(folder + "/ours")
    return took, most


def copy_round(folder):
    start = time.monotonic()
    shutil.copytree(folder + "/base", folder + "/copy")
    took = time.monotonic() - start
    shutil.rmtree(folder + "/copy")
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ferrule")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    parser.add_argument("--json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        make(folder, args.layers, args.shards)
        size = sum(os.path.getsize(f"{folder}/base/{f}") for f in os.listdir(folder + "/base"))
        rows = {"ferrule": [], "ferrule, 1 thread": [], "copy": [], "PEFT merge": [], "PEFT merge and save": []}
        memory = 0
        for i in range(args.rounds + 1):
            ours, most = our_round(args.ferrule, folder, 0)
            single, _ = our_round(args.ferrule, folder, 1)
            merged, saved = peft_round(folder) if i < 3 else (None, None)
            copied = copy_round(folder)
            if i == 0:
                continue  # Warms the page cache.
            memory = max(memory, most)
            for name, value in zip(rows, (ours, single, copied, merged, saved)):
                if value is not None:
                    rows[name].append(value)
        figures = {name: statistics.median(values) for name, values in rows.items()}
        print(f"base of {size / 2**30:.2f} GiB, {args.layers} layers, {args.shards} shards, {os.cpu_count()} cores")
        for name, value in figures.items():
            print(f"  {name:22} {value:8.3f} s  {size / value / 2**30:7.2f} GiB/s  {value / figures['ferrule']:6.2f}x")
        print(f"  anonymous memory of ferrule: {memory / 2**20:.1f} MiB")
        if args.json:
            with open(args.json, "w", encoding="utf-8") as f:
                json.dump({"bytes": size, "seconds": figures, "anonymous_bytes": memory}, f, indent=1)


main()
