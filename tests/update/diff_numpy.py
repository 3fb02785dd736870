# SPDX-License-Identifier: Apache-2.0
"""Compares `ferrule diff` with numpy, which forms the updates.

usage: diff_numpy.py FERRULE
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import save_file

FERRULE = sys.argv[1]
RNG = np.random.default_rng(7)
Q, V = "base_model.model.layers.0.q_proj", "base_model.model.layers.1.v_proj"
FAILURES = []
CHECKS = 0


def check(ok, what):
    global CHECKS
    CHECKS += 1
    if not ok:
        FAILURES.append(what)


def near(a, b, tolerance=1e-9):
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def pair(out, rank, width, scale=1.0):
    return {"a": RNG.standard_normal((rank, width)), "b": scale * RNG.standard_normal((out, rank))}


def save(folder, tensors, dtype=torch.float32, **config):
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "target_modules": ["q_proj", "v_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({name: torch.tensor(np.ascontiguousarray(value)).to(dtype) if isinstance(value, np.ndarray) else value
               for name, value in tensors.items()}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def lora(modules):
    return {f"{path}.lora_{side.upper()}.weight": value for path, factors in modules.items()
            for side, value in factors.items()}


def diff(a, b, *options):
    done = subprocess.run([FERRULE, "diff", str(a), str(b), "--json", *options], capture_output=True, text=True)
    check(done.returncode == 0, f"{a} {b}: exit {done.returncode} {done.stderr}")
    return json.loads(done.stdout)


def dense(factors, strength, dtype=torch.float32):
    a, b = (torch.tensor(factors[side]).to(dtype).double().numpy() for side in "ab")
    return strength * b @ a


def expect(report, path, verdict, a=None, b=None, factor=None, tolerance=1e-9):
    """The module's row, against updates that were formed."""
    row = next(row for row in report["modules"] if row["module"] == path.removeprefix("base_model.model."))
    check(row["verdict"] == verdict, f"{path}: {row} is not {verdict}")
    if a is not None:
        check(near(row["relative_distance"], np.linalg.norm(a - b) / np.linalg.norm(a), tolerance),
              f"{path}: distance {row['relative_distance']}")
        cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
        check(near(row["cosine"], cosine, tolerance), f"{path}: cosine {row['cosine']}, numpy {cosine}")
    if verdict in ("same", "scaled") and factor is not None:
        check(near(row["factor"], factor, 1e-5), f"{path}: factor {row['factor']}, expected {factor}")
    if verdict in ("different", "only_a", "only_b", "shape"):
        check(row["factor"] is None, f"{path}: a factor {row['factor']}")
    return row


def different(base):
    """Ranks, strengths and dtypes that have nothing in common."""
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        for left, right in ((4, 4), (3, 7), (1, 16), (16, 16), (37, 5)):
            one = {Q: pair(48, left, 80), V: pair(80, left, 33)}
            two = {Q: pair(48, right, 80), V: pair(80, right, 33)}
            name = f"{dtype}-{left}-{right}".replace("torch.", "")
            a = save(base / name / "a", lora(one), dtype, r=left, lora_alpha=3 * left)
            b = save(base / name / "b", lora(two), dtype, r=right, lora_alpha=5, use_rslora=True)
            report = diff(a, b)
            total = [0.0, 0.0]
            for path in (Q, V):
                x, y = dense(one[path], 3.0, dtype), dense(two[path], 5 / math.sqrt(right), dtype)
                expect(report, path, "different", x, y)
                total[0] += np.linalg.norm(x - y) ** 2
                total[1] += np.linalg.norm(x) ** 2
            check(report["verdict"] == "different" and report["factor"] is None, f"{name}: {report['verdict']}")
            check(near(report["relative_distance"], math.sqrt(total[0] / total[1])), f"{name}: total")


def rewritten(base):
    """The same update with other factors, and multiples of it."""
    rank = 8
    one = {Q: pair(64, rank, 96), V: pair(96, rank, 40)}
    a = save(base / "rewritten/a", lora(one), r=rank, lora_alpha=16)
    orthogonal = np.linalg.qr(RNG.standard_normal((rank, rank)))[0]
    general = RNG.standard_normal((rank, rank)) + 3 * np.eye(rank)
    for name, turn in (("orthogonal", orthogonal), ("general", general), ("scale", 37.3 * np.eye(rank))):
        two = {path: {"a": np.linalg.inv(turn) @ f["a"], "b": f["b"] @ turn} for path, f in one.items()}
        for dtype, bound in ((torch.float32, 2e-6), (torch.float64, 2e-7), (torch.bfloat16, 3.9e-3), (torch.float16, 4.9e-4)):
            if name == "general" and dtype in (torch.bfloat16, torch.float16):
                continue  # Its condition makes more of the roundings.
            b = save(base / f"rewritten/{name}-{dtype}", lora(two), dtype, r=rank, lora_alpha=16)
            report = diff(a, b)
            for path in (Q, V):
                row = expect(report, path, "same", factor=None)
                check(row["relative_distance"] <= bound, f"{name} {dtype}: {row}")
                check(near(row["factor"], 1, 1e-2), f"{name} {dtype}: {row}")
            check(report["verdict"] == "same", f"{name} {dtype}: {report['verdict']}")
    padded = {path: {"a": np.vstack([f["a"], np.zeros((5, f["a"].shape[1]))]),
                     "b": 2 * np.hstack([f["b"], np.zeros((f["b"].shape[0], 5))])} for path, f in one.items()}
    report = diff(a, save(base / "rewritten/padded", lora(padded), r=rank + 5, lora_alpha=rank + 5))
    check(report["verdict"] == "same" and report["relative_distance"] == 0 and report["factor"] == 1, "padded")
    for factor in (0.5, -3.0, 1.0001, 1e-4):
        b = save(base / f"rewritten/factor{factor}", lora({p: {"a": f["a"], "b": factor * f["b"]} for p, f in one.items()}),
                 r=rank, lora_alpha=16)
        report = diff(a, b)
        check(report["verdict"] == "scaled" and near(report["factor"], factor, 1e-6), f"factor {factor}: {report}")
        check(near(report["relative_distance"], abs(1 - factor), 1e-5), f"factor {factor}: {report}")
    report = diff(a, save(base / "rewritten/alpha", lora(one), r=rank, lora_alpha=4))
    check(report["verdict"] == "scaled" and report["factor"] == 0.25 and near(report["relative_distance"], 0.75), f"alpha: {report}")
    mixed = diff(a, save(base / "rewritten/mixed", lora(one), r=rank, lora_alpha=16, alpha_pattern={"v_proj": 32}))
    expect(mixed, Q, "same", factor=1)
    expect(mixed, V, "scaled", factor=2)
    check(mixed["verdict"] == "different", "two factors are no multiple")
    check([row["field"] for row in mixed["config"]] == ["alpha_pattern"], f"config {mixed['config']}")


def near_misses(base):
    """Small differences that were trained are told from roundings."""
    one = {Q: pair(64, 8, 96)}
    for dtype in (torch.float32, torch.bfloat16):
        stored = {name: torch.tensor(value).to(dtype) for name, value in lora(one).items()}
        a = save(base / f"near/{dtype}-a", stored, dtype, r=8, lora_alpha=8)
        moved = dict(stored)
        key = f"{Q}.lora_B.weight"
        moved[key] = (stored[key].double() * (1 + 2e-3 * torch.tensor(RNG.standard_normal((64, 8))))).to(torch.float32).to(dtype)
        report = diff(a, save(base / f"near/{dtype}-b", moved, dtype, r=8, lora_alpha=8))
        x = stored[key].double().numpy() @ stored[f"{Q}.lora_A.weight"].double().numpy()
        y = moved[key].double().numpy() @ stored[f"{Q}.lora_A.weight"].double().numpy()
        expect(report, Q, "different", x, y)


def odd_shapes(base):
    """Convolutions with groups, embeddings, fused experts."""
    groups, rank = 2, 4
    for left, right in ((4, 4), (4, 8)):
        products, folders = [], []
        for rank in (left, right):
            a, b = RNG.standard_normal((rank, 6, 3, 3)), RNG.standard_normal((10, rank // groups, 1, 1))
            full = np.zeros((10, rank))
            for g in range(groups):
                full[g * 5:(g + 1) * 5, g * rank // groups:(g + 1) * rank // groups] = b[g * 5:(g + 1) * 5, :, 0, 0]
            products.append(full @ torch.tensor(a).float().double().numpy().reshape(rank, -1))
            folders.append(save(base / f"conv/{left}-{right}-{len(folders)}",
                                {f"{Q}.lora_A.weight": a, f"{Q}.lora_B.weight": b}, r=rank, lora_alpha=rank))
        row = expect(diff(*folders), Q, "different")
        check(near(row["relative_distance"], np.linalg.norm(products[0] - products[1]) / np.linalg.norm(products[0]), 1e-6),
              f"grouped convolution: {row}")
    products, folders = [], []
    for rank in (3, 5):
        a, b = RNG.standard_normal((rank, 50)), RNG.standard_normal((12, rank))
        products.append(dense({"a": a, "b": b}, 2.0))
        folders.append(save(base / f"embedding/{rank}", {f"{Q}.lora_embedding_A": a, f"{Q}.lora_embedding_B": b},
                            r=rank, lora_alpha=2 * rank))
    expect(diff(*folders), Q, "different", *products)
    products, folders, experts = [], [], 3
    owner = "base_model.model.layers.0.mlp.experts"
    for rank in (2, 4):
        a, b = RNG.standard_normal((rank * experts, 9)), RNG.standard_normal((7, rank * experts))
        one, two = (torch.tensor(x).float().double() for x in (a, b))
        products.append(torch.einsum("ore,eri->eoi", two.reshape(7, rank, experts), one.reshape(experts, rank, 9)).numpy())
        folders.append(save(base / f"experts/{rank}", {f"{owner}.lora_A.weight": a, f"{owner}.lora_B.weight": b},
                            r=rank, lora_alpha=rank, target_modules=[], target_parameters=["experts.down_proj"]))
    expect(diff(*folders), owner, "different", *products)


def edges(base):
    one = {Q: pair(16, 4, 20), V: pair(16, 4, 20)}
    a = save(base / "edges/a", lora(one), r=4, lora_alpha=4)
    only = diff(a, save(base / "edges/only", lora({Q: one[Q]}), r=4, lora_alpha=4))
    expect(only, Q, "same", factor=1)
    row = expect(only, V, "only_a")
    check(row["relative_distance"] == 1 and row["cosine"] is None, f"only_a: {row}")
    check(only["verdict"] == "different", "a module less is different")
    turned = diff(base / "edges/only", a)
    check(expect(turned, V, "only_b")["relative_distance"] is None, "only_b")
    wide = save(base / "edges/shape", lora({Q: one[Q], V: pair(16, 4, 21)}), r=4, lora_alpha=4)
    row = expect(diff(a, wide), V, "shape")
    check(row["relative_distance"] is None, f"shape: {row}")
    zero = {path: {"a": f["a"], "b": 0 * f["b"]} for path, f in one.items()}
    nothing = save(base / "edges/zero", lora(zero), r=4, lora_alpha=4)
    row = expect(diff(nothing, nothing), Q, "same")
    check(row["factor"] is None and row["relative_distance"] == 0 and row["cosine"] is None, f"zero: {row}")
    row = expect(diff(nothing, a), Q, "different")
    check(row["relative_distance"] is None and row["cosine"] is None, f"from zero: {row}")
    row = expect(diff(a, nothing), Q, "different")
    check(row["relative_distance"] == 1, f"to zero: {row}")
    tainted = {path: {side: value.copy() for side, value in f.items()} for path, f in one.items()}
    tainted[Q]["a"][0, 0] = math.nan
    nan = save(base / "edges/nan", lora(tainted), r=4, lora_alpha=4)
    report = diff(a, nan)
    row = expect(report, Q, "different")
    check(row["relative_distance"] is None and report["findings"][0]["rule"] == "AD-20", f"NaN: {report}")
    check(diff(nan, nan)["verdict"] == "same", "a NaN that is the same bits is the same adapter")
    tensors = diff(a, wide, "--tensors")
    row = next(row for row in tensors["modules"] if row["module"].endswith("v_proj"))
    check({t["tensor"]: t["verdict"] for t in row["tensors"]} == {"lora_A": "shape", "lora_B": "different"}, f"{row}")


def other_methods(base):
    tensors = {f"{Q}.hada_{name}": RNG.standard_normal(shape) for name, shape in
               (("w1_a", (16, 4)), ("w1_b", (4, 20)), ("w2_a", (16, 4)), ("w2_b", (4, 20)))}
    a = save(base / "loha/a", tensors, peft_type="LOHA", r=4, alpha=4)
    check(diff(a, a)["verdict"] == "same", "loha")
    report = diff(a, save(base / "loha/alpha", tensors, peft_type="LOHA", r=4, alpha=6))
    check(report["verdict"] == "scaled" and report["factor"] == 1.5 and report["relative_distance"] == 0.5, f"{report}")
    moved = {name: value + (0.1 if name.endswith("w1_a") else 0) for name, value in tensors.items()}
    check(diff(a, save(base / "loha/moved", moved, peft_type="LOHA", r=4, alpha=4))["verdict"] == "different", "loha moved")
    plain = save(base / "loha/lora", lora({Q: pair(16, 4, 20)}), r=4, lora_alpha=4)
    check(diff(a, plain)["verdict"] == "different", "another method is different")
    one = pair(16, 4, 20)
    turn = RNG.standard_normal((4, 4))
    hira = [save(base / f"hira/{i}", {f"{Q}.hira_A": f["a"], f"{Q}.hira_B": f["b"]}, peft_type="HIRA", r=4)
            for i, f in enumerate((one, {"a": np.linalg.inv(turn) @ one["a"], "b": one["b"] @ turn}))]
    check(diff(*hira)["verdict"] == "same", "a rotated HiRA is the same")
    magnitude = np.abs(RNG.standard_normal(16))
    dora = {**lora({Q: one}), f"{Q}.lora_magnitude_vector": magnitude}
    a = save(base / "dora/a", dora, r=4, lora_alpha=4, use_dora=True)
    b = save(base / "dora/b", {**dora, f"{Q}.lora_magnitude_vector": 1.01 * magnitude}, r=4, lora_alpha=4, use_dora=True)
    check(diff(a, a)["verdict"] == "same", "dora")
    row = expect(diff(a, b), Q, "different")
    check(near(row["relative_distance"], 0.01, 1e-5), f"a magnitude counts: {row}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        for part in (different, rewritten, near_misses, odd_shapes, edges, other_methods):
            part(base)
    for failure in FAILURES[:20]:
        print(failure)
    print(f"diff: {CHECKS} checks, {len(FAILURES)} failed")
    return 1 if FAILURES or CHECKS < 200 else 0


if __name__ == "__main__":
    sys.exit(main())
