#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` on checkpoints of Accelerate, Trainer, Lightning, Megatron and DeepSpeed's universal ones (trainer_more.py),
whole and broken in every way.

    rescue_more.py FERRULE FOLDER

FOLDER keeps an environment with the pinned programs, made on the first run over the packages of this Python.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import rescue_checks

import rescue_trainers
import torch

STEP = "global_step2"
FSDP = "pytorch_model_fsdp_0"
SECOND = "__1_0.distcp"
RANK_1 = "pytorch_model_fsdp_0_rank1.bin"
RANK_2 = "pytorch_model_fsdp_0_rank2.bin"
BIN = "pytorch_model_fsdp.bin"
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"
OPTIMIZER = "zero_pp_rank_1_mp_rank_00_optim_states.pt"
MODEL = "zero_pp_rank_1_mp_rank_00_model_states.pt"

GOOD = [
    # checkpoint, expected, options, what --json must say
    ("accelerate-sharded/ckpt", "expected", [], {}),
    ("accelerate-sharded/ckpt/pytorch_model_fsdp_0", "expected", [], {}),
    ("accelerate-sharded/ranks", "expected", [], {"world_size": 3}),
    ("accelerate-sharded/adapter_ranks", "expected", [], {"world_size": 3}),
    ("accelerate-full/ckpt", "expected", [], {}),
    ("accelerate-ddp/ckpt", "expected", [], {}),
    ("accelerate-zero3/ckpt", "expected", [], {"step": 2, "world_size": 3}),
    ("trainer-sharded/ckpt", "expected", [], {"step": 4}),
    ("trainer-sharded/ckpt/checkpoint-4", "expected", [], {"step": 4}),
    ("trainer-full/ckpt", "expected", [], {"step": 4}),
    ("trainer-ddp/ckpt", "expected", [], {"step": 4}),
    ("trainer-zero3/ckpt", "expected", [], {"step": 4, "world_size": 3}),
    ("trainer-zero3/ckpt/checkpoint-4/global_step4", "expected", [], {"step": 4, "world_size": 3}),
    ("universal2/ckpt", "expected", [], {"step": 2}),
    ("universal2/ckpt", "master", ["--prefer", "master"], {"step": 2}),
    ("universal3/ckpt", "master", [], {"step": 2}),
    ("universal3/ckpt", "expected", ["--prefer", "working"], {"step": 2}),
    ("universal1-bf16/ckpt", "expected", [], {"step": 2}),
    ("universal1-bf16/ckpt", "master", ["--prefer", "master"], {"step": 2}),
    ("lightning/ckpt", "expected", [], {"step": 4}),
    ("megatron/ckpt", "expected", [], {"step": 2}),
]


def unlink(path):
    path.unlink()


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def edit(path, change):
    data = torch.load(path, weights_only=False)
    change(data)
    torch.save(data, path)


def only_optimizer(folder):
    shutil.rmtree(folder / FSDP)


def adapter_beside(folder):
    """Nothing but the damaged kind is left."""
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).unlink(missing_ok=True)


def broken(root):
    """checkpoint, how, rule, what the message names. Steps 2 and 4 of one run are mixed where two are written."""
    two = root / "trainer-zero3/ckpt/checkpoint-2/global_step2"
    other = root / "universal2/source/ckpt/global_step3"
    step = "global_step4"
    return [
        ("accelerate-sharded/ckpt", lambda d: unlink(d / FSDP / SECOND), "RS-3", SECOND),
        ("accelerate-sharded/ckpt", lambda d: cut(d / FSDP / SECOND, -3), "RS-3", SECOND),
        ("accelerate-sharded/ckpt", lambda d: cut(d / FSDP / SECOND, 5000), "RS-3", SECOND),
        ("accelerate-sharded/ckpt", lambda d: unlink(d / FSDP / ".metadata"), "RS-3", ".metadata"),
        ("accelerate-sharded/ckpt", only_optimizer, "RS-10", "optimizer"),
        ("accelerate-sharded/ranks", lambda d: unlink(d / RANK_2), "RS-5", RANK_2),
        ("accelerate-sharded/ranks", lambda d: unlink(d / RANK_1), "RS-5", RANK_1),
        ("accelerate-sharded/adapter_ranks", lambda d: cut(d / RANK_1, -700), "TZ-", RANK_1),
        ("accelerate-full/ckpt", lambda d: cut(d / BIN, 9000), "TZ-", BIN),
        ("accelerate-full/ckpt", lambda d: edit(d / BIN, lambda s: s.pop(A)), "AD-", "q_proj"),
        ("accelerate-full/ckpt", lambda d: edit(d / BIN, lambda s: s.update({A: torch.empty(0)})), "AD-", "q_proj"),
        ("accelerate-full/ckpt", lambda d: edit(d / BIN, lambda s: s.update({A: s[A][:2].clone()})), "AD-", "q_proj"),
        ("accelerate-full/ckpt", lambda d: edit(d / BIN, lambda s: [s.pop(n) for n in list(s) if "lora_" in n or "modules_to" in n]), "RS-10",
         "without an adapter"),
        ("trainer-sharded/ckpt/checkpoint-4", lambda d: unlink(d / FSDP / SECOND), "RS-3", SECOND),
        ("trainer-sharded/ckpt/checkpoint-4", only_optimizer, "RS-10", "optimizer"),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: unlink(d / step / OPTIMIZER), "RS-5", OPTIMIZER),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: unlink(d / step / MODEL), "RS-5", MODEL),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: cut(d / step / OPTIMIZER, -700), "TZ-1", OPTIMIZER),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: shutil.copy(two / OPTIMIZER, d / step), "RS-6", OPTIMIZER),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: shutil.copy(two / MODEL, d / step), "RS-6", MODEL),
        ("trainer-zero3/ckpt/checkpoint-4", lambda d: (d / "latest").write_text("global_step9"), "RS-9", "global_step9"),
        ("trainer-zero3/ckpt/checkpoint-4",
         lambda d: edit(d / step / MODEL, lambda s: s.update(dp_world_size=2)), "RS-5", "rank"),
        ("universal3/ckpt", lambda d: shutil.rmtree(d / STEP / "zero" / A), "RS-", "q_proj"),
        ("universal3/ckpt", lambda d: cut(d / STEP / "zero" / A / "fp32.pt", -200), "TZ-", "fp32.pt"),
        ("universal3/ckpt", lambda d: (d / "latest_universal").write_text("global_step9"), "RS-9", "global_step9"),
        ("universal3/ckpt", lambda d: [unlink(p) for p in (d / STEP).glob("*model_states.pt")], "RS-5", "mp_rank_00_model_states.pt"),
        ("universal2/source/ckpt", lambda d: [shutil.rmtree(d / "global_step3"), (d / "latest").write_text(STEP),
                                              shutil.copy(other / OPTIMIZER, d / STEP)], "RS-6", OPTIMIZER),
        ("universal2/source/ckpt", lambda d: [shutil.rmtree(d / "global_step3"), (d / "latest").write_text(STEP),
                                              shutil.copy(other / "mp_rank_00_model_states.pt", d / STEP)], "RS-6", "step"),
        ("megatron/ckpt", lambda d: (d / "latest_checkpointed_iteration.txt").write_text("9"), "RS-9", "9"),
        ("megatron/ckpt", lambda d: unlink(next((d / "iter_0000002").glob("__1_*.distcp"))), "RS-3", "__1_"),
    ]


def check(checks, root, ranks):
    for checkpoint, expected, options, says in GOOD:
        kind = root / checkpoint.split("/")[0]
        checks.good(root / checkpoint, kind / expected, says=says, options=options)
    for checkpoint, how, rule, names in broken(root):
        config = root / checkpoint.split("/")[0] / "expected/adapter_config.json"
        checks.refused(root / checkpoint, config, "rescue", lambda d, how=how: [adapter_beside(d), how(d)], rule, names)
    last = sorted((root / "lightning/ckpt").glob("*.ckpt"))[-1]
    config = root / "lightning/expected/adapter_config.json"
    checks.refused(last, config, "rescue", lambda p: cut(p, -900), "TZ-", last.name)
    checks.refused(last, config, "rescue", lambda p: edit(p, lambda s: s.pop("state_dict")), "RS-10", "without weights")


if __name__ == "__main__":
    sys.exit(rescue_trainers.run("trainer_more.py", [3], check))
