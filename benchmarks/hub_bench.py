#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares pushes and pulls of an adapter with those of huggingface_hub: see README.md beside this file.

    python hub_bench.py BUILD/cli/ferrule [--rounds N] [--megabytes N] [--json FILE]

Run it with a Python that has huggingface_hub and what tests/hub needs. The Hub is the tests' emulator, in a process of its own.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "hub"))
from adapters import make_adapter  # noqa: E402


class Peer:
    """huggingface_hub in a process that lives for the whole run: no interpreter's start is in its figures."""

    SCRIPT = """
import json, sys, time
from huggingface_hub import HfApi, snapshot_download
api = HfApi()
for line in sys.stdin:
    action, repo, place = line.split()
    start = time.perf_counter()
    if action == "push":
        api.create_repo(repo, exist_ok=True)
        answer = api.upload_folder(repo_id=repo, folder_path=place).oid
    else:
        answer = snapshot_download(repo, cache_dir=place, local_files_only=action == "offline")
    print(json.dumps([time.perf_counter() - start, answer]), flush=True)
"""

    def __init__(self, env):
        self.process = subprocess.Popen([sys.executable, "-c", self.SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env=env)

    def __call__(self, action, repo, place):
        self.process.stdin.write(f"{action} {repo} {place}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"hub_bench: huggingface_hub failed at {action} {repo}")
        return json.loads(line)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def ours(ferrule, env, action, repo, place):
    """The whole command, its start included."""
    command = {"push": ["push", place, repo], "pull": ["pull", repo, "--cache-dir", place], "offline": ["pull", repo, "--cache-dir", place, "--offline"]}
    start = time.perf_counter()
    done = subprocess.run([ferrule, *map(str, command[action]), "--json"], env=env, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"hub_bench: ferrule failed at {action} {repo}: {done.stdout}{done.stderr}")
    answer = json.loads(done.stdout)
    return elapsed, answer["commit"] if action == "push" else answer["path"]


def weights_hash(folder):
    return hashlib.sha256((pathlib.Path(folder) / "adapter_model.safetensors").read_bytes()).hexdigest()


class Run:
    def __init__(self, options, folder, hub):
        self.folder, self.options = folder, options
        token = hub["tokens"]["ann"]
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "HF_ENDPOINT": hub["endpoint"], "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1",
               "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        self.peer = Peer({**env, "HF_HOME": str(folder / "theirs")})
        self.sides = {
            "ours": lambda *a: ours(options.ferrule, {**env, "HF_HOME": str(folder / "ours")}, *a),
            "peer": self.peer,
        }
        self.times = {}

    def note(self, row, side, elapsed):
        self.times.setdefault(row, {}).setdefault(side, []).append(elapsed)

    def round(self, number):
        layers = max(1, self.options.megabytes * 10**6 // (4 * 8 * 4096 * 4))
        adapter = make_adapter(self.folder / "adapter", seed=number, layers=layers, hidden=4096)
        expected = weights_hash(adapter)
        start = time.perf_counter()
        weights_hash(adapter)
        self.note("pushed again, unchanged, against hashing", "peer", time.perf_counter() - start)
        for side, run in self.sides.items():
            repo = f"ann/{side}{number}"
            first, commit = run("push", repo, adapter)
            self.note("pushed new", side, first)
            again, same = run("push", repo, adapter)
            if same != commit:
                sys.exit(f"hub_bench: {side} made a second commit")
            self.note("pushed again, unchanged", side, again)
            if side == "ours":
                self.note("pushed again, unchanged, against hashing", side, again)
            cache = self.folder / f"cache-{side}"
            for row, action in (("pulled, cold", "pull"), ("pulled, warm", "pull"), ("opened offline", "offline")):
                elapsed, path = run(action, repo, cache)
                self.note(row, side, elapsed)
                if weights_hash(path) != expected:
                    sys.exit(f"hub_bench: {side} pulled other bytes")
            shutil.rmtree(cache)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("ferrule")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--megabytes", type=int, default=42)
    options.add_argument("--json")
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = subprocess.Popen([sys.executable, "-m", "emulator"], cwd=ROOT / "tests" / "hub", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        try:
            run = Run(options, folder, json.loads(server.stdout.readline()))
            for number in range(-2, options.rounds):  # the first two warm both sides
                run.round(number + 2)
                if number < 0:
                    run.times.clear()
            run.peer.stop()
        finally:
            server.stdin.close()
            server.wait()
    figures = {row: {side: statistics.median(values) for side, values in sides.items()} for row, sides in run.times.items()}
    print(f"| {options.megabytes} MB adapter | ours | peer | ratio |\n|---|---:|---:|---:|")
    for row, sides in figures.items():
        print(f"| {row} | {sides['ours'] * 1e3:.1f} ms | {sides['peer'] * 1e3:.1f} ms | {sides['peer'] / sides['ours']:.1f}x |")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"figures": figures, "all": run.times}, indent=1))


if __name__ == "__main__":
    main()
