# SPDX-License-Identifier: Apache-2.0
"""Trains, saves and loads adapters in C++ and in PEFT, and compares.

    differential.py DRIVER

For each case, both ways: the same seed makes the same adapter; PEFT loads what C++ saved and gives the same logits
and gradients; merging and unmerging leave the same weights; C++ loads what PEFT saved and gives the same logits.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
import peft  # noqa: E402
import torch  # noqa: E402
from net import Net  # noqa: E402
from peft.tuners.loha import layer as loha_layer  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

torch.set_num_threads(1)


def rebuild_both(t1, w1a, w1b, t2, w2a, w2b, scale):
    """LoHa's kernels with autograd's gradients: PEFT's own backward takes those of w1_a with the other half's factors
    (docs/differences.md)."""
    first = torch.einsum("i j k l, j r, i p -> p r k l", t1, w1b, w1a)
    return first * torch.einsum("i j k l, j r, i p -> p r k l", t2, w2b, w2a) * scale


loha_layer.make_weight_cp = rebuild_both
TOLERANCE = 1e-6
# Two units in the last place of a bfloat16 of the logits' size.
HALF_TOLERANCE = 3.2e-2
LINEAR = ["q_proj", "v_proj"]
CONV = ["conv1", "conv2", "point"]
ALL = [*LINEAR, *CONV, "embed"]


def lora(**fields):
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": LINEAR, **fields})


def loha(**fields):
    return peft.LoHaConfig(**{"r": 3, "alpha": 5, "target_modules": [*LINEAR, *CONV], **fields})


def lokr(**fields):
    return peft.LoKrConfig(**{"r": 2, "alpha": 5, "target_modules": [*LINEAR, *CONV], **fields})


def ia3(**fields):
    return peft.IA3Config(**{"target_modules": [*LINEAR, "conv2", "point"], "feedforward_modules": ["v_proj"],
                             **fields})


# name: (configs of its adapters, settings).
CASES = {
    "lora": ([lora(target_modules=ALL)], {}),
    "lora_grouped": ([lora(target_modules=["grouped", "q_proj"])], {"merges": False}),
    "lora_gaussian": ([lora(target_modules=ALL, init_lora_weights="gaussian")], {}),
    "lora_random": ([lora(target_modules=ALL, init_lora_weights=False)], {}),
    "lora_orthogonal": ([lora(init_lora_weights="orthogonal", target_modules=[*LINEAR, "embed"])], {}),
    "lora_rslora_patterns": ([lora(use_rslora=True, r=5, rank_pattern={"layers.0.q_proj": 3, "v_proj": 2},
                                   alpha_pattern={r"layers\.\d\.v_proj": 7})], {}),
    "lora_bias": ([lora(lora_bias=True, target_modules=["v_proj", "conv1", "conv2"])], {}),
    "lora_bias_all": ([lora(bias="all", target_modules=ALL)], {}),
    "lora_bias_only": ([lora(bias="lora_only", target_modules=ALL)], {}),
    "lora_dropout": ([lora(lora_dropout=0.3, target_modules=ALL)], {}),
    "lora_modules_to_save": ([lora(modules_to_save=["head", "norm"])], {}),
    "lora_regex": ([lora(target_modules=r"layers\.1\..*_proj|embed")], {}),
    "lora_layers": ([lora(target_modules=["q_proj", "embed"], layers_to_transform=[1], layers_pattern="layers")], {}),
    "lora_all_linear": ([lora(target_modules="all-linear", exclude_modules=["head"])], {}),
    "lora_two": ([lora(target_modules=["q_proj", "conv2", "embed"]), lora(r=2, lora_alpha=9, use_rslora=True)], {}),
    "dora": ([lora(use_dora=True, target_modules=ALL)], {}),
    "dora_dropout": ([lora(use_dora=True, lora_dropout=0.2, target_modules=ALL)], {}),
    "dora_two": ([lora(use_dora=True, target_modules=ALL), lora(r=2, use_dora=True, target_modules=["q_proj", "embed", "conv1"])], {}),
    "dora_and_lora": ([lora(target_modules=ALL), lora(r=2, use_dora=True, target_modules=ALL)], {}),
    "pissa": ([lora(init_lora_weights="pissa")], {}),
    "pissa_niter": ([lora(init_lora_weights="pissa_niter_4", use_dora=True)], {}),
    "olora": ([lora(init_lora_weights="olora")], {}),
    "ia3": ([ia3()], {}),
    "ia3_forward": ([ia3(feedforward_modules=["conv2", "q_proj", "grouped"],
                         target_modules=["conv2", "q_proj", "grouped", "v_proj"])], {}),
    "ia3_random": ([ia3(init_ia3_weights=False, modules_to_save=["head"])], {}),
    "ia3_two": ([ia3(), ia3(target_modules=["q_proj", "v_proj"])], {}),
    "loha": ([loha()], {}),
    "loha_effective": ([loha(use_effective_conv2d=True, rank_pattern={"q_proj": 5})], {}),
    "loha_random": ([loha(init_weights=False, use_effective_conv2d=True)], {}),
    "loha_dropout": ([loha(rank_dropout=0.4, module_dropout=0.3)], {}),
    "loha_grouped": ([loha(target_modules=["grouped"])], {}),
    "lokr": ([lokr()], {}),
    "lokr_both": ([lokr(decompose_both=True, decompose_factor=4, r=1)], {}),
    "lokr_effective": ([lokr(use_effective_conv2d=True, decompose_factor=2)], {}),
    "lokr_whole": ([lokr(r=16)], {}),
    "lokr_lycoris": ([lokr(init_weights="lycoris", use_effective_conv2d=True, decompose_factor=2)], {}),
    "lokr_random": ([lokr(init_weights=False, modules_to_save=["norm"])], {}),
    "lokr_dropout": ([lokr(rank_dropout=0.4, rank_dropout_scale=True)], {}),
    "lora_bf16": ([lora(target_modules=ALL)], {"dtype": "BF16"}),
    "lora_f64": ([lora(target_modules=ALL)], {"dtype": "F64"}),
    "dora_bf16": ([lora(use_dora=True, target_modules=ALL)], {"dtype": "BF16"}),
    "loha_bf16": ([loha()], {"dtype": "BF16"}),
    "ia3_bf16": ([ia3()], {"dtype": "BF16"}),
}
DTYPES = {"BF16": torch.bfloat16, "F64": torch.float64}


class Comparison:
    def __init__(self):
        self.failures, self.checked, self.worst = [], 0, {}

    def same(self, case: str, what: str, ours, theirs, tolerance: float = 0.0):
        self.checked += 1
        if ours is None or theirs is None or ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            describe = lambda t: None if t is None else (tuple(t.shape), t.dtype)  # noqa: E731
            self.failures.append(f"{case}: {what}: ours {describe(ours)}, PEFT's {describe(theirs)}")
            return
        difference = (ours.double() - theirs.double()).abs().max().item() if ours.numel() else 0.0
        kind = what.split(" ")[0] + (" (half)" if case.endswith("bf16") else "")
        self.worst[kind] = max(self.worst.get(kind, (0.0, "")), (difference, case))
        if not difference <= tolerance:
            self.failures.append(f"{case}: {what}: differs by {difference:.3g}")

    def say(self, text: str):
        self.failures.append(text)


def fresh(base: dict, settings: dict):
    net = Net()
    net.load_state_dict(base)
    return net.to(DTYPES.get(settings.get("dtype"), torch.float32))


def names_of(configs) -> list[str]:
    return ["default", "second"][: len(configs)]


def build(base, configs, settings):
    """The PEFT model with new adapters, as the driver makes it."""
    net = fresh(base, settings)
    torch.manual_seed(5)
    model = peft.get_peft_model(net, configs[0])
    for name, config in list(zip(names_of(configs), configs))[1:]:
        model.add_adapter(name, config)
    return model


def activate(model, configs):
    model.base_model.set_adapter(names_of(configs))
    model.train()


def run(model, words):
    torch.manual_seed(7)
    logits = model(words)
    logits.float().square().mean().backward()
    return logits.detach()


def parameters(model) -> dict:
    return {name: p.detach().clone() for name, p in model.base_model.model.named_parameters()}


def compare_parameters(comparison, case, kind, ours: dict, theirs: dict, tolerance: float):
    mine = {name[len(kind) + 1:]: tensor for name, tensor in ours.items() if name.startswith(kind + ".")}
    if set(mine) != set(theirs):
        comparison.say(f"{case}: {kind}: only ours {sorted(set(mine) - set(theirs))[:4]}, "
                       f"only PEFT's {sorted(set(theirs) - set(mine))[:4]}")
    for name in mine.keys() & theirs.keys():
        comparison.same(case, f"{kind} {name}", mine[name], theirs[name], tolerance)


def check_trained(comparison, case, configs, settings, base, words, folder):
    ours = load_file(os.path.join(folder, case + ".trained"))
    built = build(base, configs, settings)
    compare_parameters(comparison, case, "init", ours, parameters(built), 0.0)
    saved = os.path.join(folder, case + ".ours")
    net = fresh(base, settings)
    if "init_lora_weights" in vars(configs[0]) and str(configs[0].init_lora_weights).startswith("pissa_niter"):
        torch.manual_seed(5)  # PEFT draws again when it loads.
    model = peft.PeftModel.from_pretrained(net, saved, is_trainable=True)
    for name in names_of(configs)[1:]:
        model.load_adapter(os.path.join(saved, name), adapter_name=name, is_trainable=True)
    activate(model, configs)
    loose = HALF_TOLERANCE if settings.get("dtype") == "BF16" else TOLERANCE
    comparison.same(case, "logits", ours["logits"], run(model, words), loose)
    gradients = {name: p.grad for name, p in model.base_model.model.named_parameters() if p.grad is not None}
    compare_parameters(comparison, case, "grad", ours, gradients, loose)
    with torch.no_grad():
        model.base_model.disable_adapter_layers()
        torch.manual_seed(7)
        comparison.same(case, "disabled", ours["disabled"], model(words), loose)
        model.base_model.enable_adapter_layers()
        if settings.get("merges", True):
            model.base_model.merge_adapter()
            compare_parameters(comparison, case, "merged", ours, parameters(model), 0.0)
            comparison.same(case, "merged_logits", ours["merged_logits"], model(words), loose)
            model.base_model.unmerge_adapter()
            compare_parameters(comparison, case, "unmerged", ours, parameters(model), 0.0)
            model.base_model.merge_adapter(safe_merge=True)
            compare_parameters(comparison, case, "safe", ours, parameters(model), 0.0)


def save_theirs(case, configs, settings, base, words, folder):
    """An adapter of PEFT's own, and what it answers."""
    model = build(base, configs, settings)
    activate(model, configs)
    torch.manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.2)
    model.save_pretrained(os.path.join(folder, case + ".theirs"))
    return run(model, words), parameters(model), len(peft.get_peft_model_state_dict(model))


def drive(driver, folder, mode, cases):
    job = {"folder": folder, "base": os.path.join(folder, "base"), "mode": mode, "cases": cases}
    path = os.path.join(folder, mode + ".json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(job, file)
    done = subprocess.run([driver, path], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the driver failed ({done.returncode}):\n{done.stderr[-2000:]}")


def config_text(config) -> str:
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
            return file.read()


def main(driver: str, only: str = "") -> int:
    comparison = Comparison()
    cases = {name: case for name, case in CASES.items() if only in name}
    torch.manual_seed(1)
    net = Net()
    words = torch.randint(0, 10, (3, 6))
    base = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        save_file({**base, "words": words}, os.path.join(folder, "base"))
        listed = [{"name": name, "dtype": settings.get("dtype", "F32"), "merges": settings.get("merges", True),
                   "adapters": [{"name": adapter, "config": config_text(config)}
                                for adapter, config in zip(names_of(configs), configs)]}
                  for name, (configs, settings) in cases.items()]
        drive(driver, folder, "train", listed)
        theirs = {}
        for name, (configs, settings) in cases.items():
            check_trained(comparison, name, configs, settings, base, words, folder)
            theirs[name] = save_theirs(name, configs, settings, base, words, folder)
        drive(driver, folder, "load", listed)
        for name, (configs, settings) in cases.items():
            logits, live, count = theirs[name]
            ours = load_file(os.path.join(folder, name + ".loaded"))
            loose = HALF_TOLERANCE if settings.get("dtype") == "BF16" else TOLERANCE
            comparison.same(name, "loaded_logits", ours["logits"], logits, loose)
            if int(ours["tensors.default"].item()) != count:
                comparison.say(f"{name}: loaded {ours['tensors.default'].item()} of {count} tensors")
    for kind, (difference, case) in sorted(comparison.worst.items()):
        print(f"{kind:20} worst {difference:.3g} ({case})")
    for failure in comparison.failures[:60]:
        print("FAILED", failure)
    print(f"torch: {len(cases)} cases, {comparison.checked} checked, {len(comparison.failures)} differ")
    return 1 if comparison.failures or comparison.checked < len(cases) * 10 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
