#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many adapters: a plain loop of safe_open and json, the command, and ferrule.ray.

    fleet_bench.py FERRULE [--adapters 10000] [--folder FOLDER] [--verb verify|check|content_id] [--nodes 2] [--no-loop]

Makes adapters with the tensors of a 7B model's LoRA (q and v, 32 layers) and few values, so that a hundred thousand fit on
a disk (19 kB each), unless FOLDER has them. Prints seconds and adapters per second of

    loop              safe_open of each, every tensor's shape, json of the config
    ferrule 1         FERRULE VERB --files-from LIST --jobs 1
    ferrule N         the same with N threads, one for each core
    2 processes       two of `ferrule 1`, each with half of the list
    ray, cold         ferrule.ray on a local cluster of NODES nodes, N cores together; workers start
    ray               the same again, workers are there

and Ray's overhead: its time against that of `ferrule N`, and against the loop over N cores. Needs PYTHONPATH with the
package, and Ray for the last two.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

LAYERS, HIDDEN, RANK = 32, 8, 2
CONFIG = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "acme/base", "r": RANK, "lora_alpha": 16,
          "target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.0, "bias": "none", "inference_mode": True}
VERBS = {"verify": "verify", "check": "check", "content_id": "id"}


def modules():
    return [f"model.layers.{layer}.self_attn.{name}" for layer in range(LAYERS) for name in ("q_proj", "v_proj")]


def make(folder, count):
    random = numpy.random.default_rng(1)
    for number in range(count):
        place = folder / f"{number // 1000:03}" / f"adapter{number:06}"
        if (place / "adapter_config.json").exists():
            continue
        place.mkdir(parents=True, exist_ok=True)
        tensors = {}
        for module in modules():
            key = f"base_model.model.{module}"
            tensors[f"{key}.lora_A.weight"] = random.standard_normal((RANK, HIDDEN), dtype=numpy.float32)
            tensors[f"{key}.lora_B.weight"] = random.standard_normal((HIDDEN, RANK), dtype=numpy.float32)
        save_file(tensors, place / "adapter_model.safetensors", {"format": "pt"})
        (place / "adapter_config.json").write_text(json.dumps(CONFIG))
    base = folder / "base"
    base.mkdir(exist_ok=True)
    save_file({f"{module}.weight": numpy.zeros((HIDDEN, HIDDEN), numpy.float32) for module in modules()}, base / "model.safetensors")
    (base / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    return sorted(str(path.parent) for path in folder.glob("*/*/adapter_config.json"))[:count]


def timed(name, count, action):
    start = time.perf_counter()
    action()
    seconds = time.perf_counter() - start
    print(f"{name:14} {seconds:9.2f} s {count / seconds:10.0f} /s", flush=True)
    return seconds


def loop(paths):
    for path in paths:
        with open(os.path.join(path, "adapter_config.json")) as file:
            json.load(file)
        with safe_open(os.path.join(path, "adapter_model.safetensors"), "np") as file:
            for name in file.keys():
                file.get_slice(name).get_shape()


def command(options, base, listed, *more):
    extra = ["--base", base] if options.verb == "check" else []
    return [options.ferrule, VERBS[options.verb], "--files-from", listed, "--jsonl", *extra, *more]


def processes(commands):
    running = [subprocess.Popen(one, stdout=subprocess.DEVNULL) for one in commands]
    codes = [one.wait() for one in running]
    assert not any(codes), codes


def with_ray(options, paths, base, cores):
    import ferrule.ray
    import ray
    from ray.cluster_utils import Cluster

    each = max(1, cores // options.nodes)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": each})
    for _ in range(options.nodes - 1):
        cluster.add_node(num_cpus=each)
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(out):
        verb = getattr(ferrule.ray, options.verb)
        dataset = verb(paths, base) if options.verb == "check" else verb(paths)
        dataset.write_parquet(out)

    seconds = []
    for name in ("ray, cold", "ray"):
        with tempfile.TemporaryDirectory() as out:
            seconds.append(timed(name, len(paths), lambda: run(out)))
            assert ray.data.read_parquet(out).count() == len(paths)
    ray.shutdown()
    cluster.shutdown()
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ferrule")
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--verb", choices=VERBS, default="verify")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--no-loop", action="store_true")
    parser.add_argument("--no-ray", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or pathlib.Path(temporary)).resolve()
        paths = make(folder, options.adapters)
        lists = [os.path.join(temporary, name) for name in ("all", "first", "second")]
        half = len(paths) // 2
        for name, part in zip(lists, (paths, paths[:half], paths[half:])):
            pathlib.Path(name).write_text("".join(path + "\n" for path in part))
        base, cores = str(folder / "base"), len(os.sched_getaffinity(0))
        loop(paths)  # The files come into the page cache.
        plain = None if options.no_loop else timed("loop", len(paths), lambda: loop(paths))
        one = timed("ferrule 1", len(paths), lambda: processes([command(options, base, lists[0], "--jobs", "1")]))
        many = timed(f"ferrule {cores}", len(paths), lambda: processes([command(options, base, lists[0], "--jobs", str(cores))]))
        two = timed("2 processes", len(paths), lambda: processes([command(options, base, part, "--jobs", "1") for part in lists[1:]]))
        print(f"two processes against one: {one / two:.2f}x (goal 1.8x)")
        if plain:
            print(f"one process against the loop: {plain / one:.1f}x")
        if not options.no_ray:
            cold, warm = with_ray(options, paths, base, cores)
            print(f"ray against ferrule {cores}: {warm / many - 1:+.0%} warm, {cold / many - 1:+.0%} cold (goal +15%)")


if __name__ == "__main__":
    main()
