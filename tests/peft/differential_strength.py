# SPDX-License-Identifier: Apache-2.0
"""Builds tiny models with live PEFT and compares every layer's factor and rank with ours."""

import json
import os
import sys
import tempfile
import warnings

import torch
from oracle import ask, report

warnings.simplefilter("ignore")
import peft  # noqa: E402
from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: E402

SIZE = 16
FACTORS = ("scaling", "deft_scaling", "fourierft_scaling", "waveft_scaling")


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(SIZE, SIZE)
        self.v_proj = torch.nn.Linear(SIZE, SIZE)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.up_proj = torch.nn.Linear(SIZE, SIZE)


class Inner(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Layer() for _ in range(12)])


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Inner()

    def forward(self, x):
        return x


TARGETS = ["q_proj", "v_proj", "up_proj"]
RANKS = [
    {}, {"q_proj": 2}, {"layers.1": 2, r"layers\.1\..*": 5, "up_proj": 7}, {r".*\.self_attn\..*": 3, "q_proj": 5},
    {"q_proj": 5, r".*\.self_attn\..*": 3}, {"^model.layers.1.self_attn.q_proj": 2}, {"model.layers.1.up_proj": 9},
    {"q|v_proj": 3}, {r"layers\.\d\.self_attn\.(q|v)_proj": 4}, {"proj": 2}, {"self_attn": 2}, {".*": 6},
    {r"(?!.*q_proj).*": 2}, {"q_proj$": 2}, {r"\w+_proj": 5},
]
ALPHAS = [{}, {"q_proj": 32}, {"up_proj": 1.5, "layers.0.self_attn.*": 3}, {r"model\.layers\.1[01]?\..*": 7}]


def configs():
    for ranks in RANKS:
        for alphas in ALPHAS:
            shared = {"r": 4, "rank_pattern": ranks, "alpha_pattern": alphas}
            yield "LORA", {**shared, "lora_alpha": 12, "use_rslora": bool(len(ranks) % 2)}
            yield "LOHA", {**shared, "alpha": 5}
            yield "LOKR", {**shared, "alpha": 5}
        yield "HIRA", {"r": 4, "rank_pattern": ranks}
        yield "DELORA", {"r": 4, "rank_pattern": ranks}
    yield "LORA", {"r": 3, "lora_alpha": 11.3, "use_rslora": True}
    for alpha in (8, 0, -1):
        yield "ADALORA", {"init_r": 6, "lora_alpha": alpha, "total_step": 10}
    yield "RANDLORA", {"r": 4, "randlora_alpha": 50}
    yield "GRALORA", {"r": 4, "alpha": 30, "gralora_k": 2, "hybrid_r": 3}
    yield "GRALORA", {"r": 4, "alpha": 30, "gralora_k": 2}
    yield "DEFT", {"r": 4}
    yield "DEFT", {"r": 4, "alpha": 9}
    yield "PSOFT", {"r": 4, "psoft_alpha": 10}
    yield "FOURIERFT", {"n_frequency": 5, "scaling": 77.5}
    yield "WAVEFT", {"n_frequency": 5, "scaling": 12.25}
    yield "LILY", {"r": 4, "scaling": 2.5}
    yield "PEANUT", {"r": 4, "scaling": 0.75}
    yield "SHIRA", {"r": 4}
    yield "SUPERTUNING", {"r": 4}
    yield "SUPERTUNING", {"r": 4, "lora_alpha": 3.5}
    yield "SUPERTUNING", {}
    for peft_type in ("VERA", "HRA", "MISS", "OSF", "C3A", "BOFT", "OFT", "IA3", "ROAD"):
        yield peft_type, {"VERA": {"r": 4}, "HRA": {"r": 4}, "MISS": {"r": 4}, "C3A": {"block_size": 4},
                          "BOFT": {"boft_block_size": 4}, "OFT": {"oft_block_size": 4},
                          "IA3": {"feedforward_modules": []}, "ROAD": {"group_size": 2}}.get(peft_type, {})


def live_factors(peft_type: str, arguments: dict):
    """(text of the config, module path -> (factor, rank)) of a live model."""
    config = peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft_type](target_modules=TARGETS, **arguments)
    model = peft.get_peft_model(Model(), config)
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        text = open(os.path.join(folder, "adapter_config.json"), encoding="utf-8").read()
    # The order of the live session, which save_pretrained sorts away.
    text = json.dumps({**json.loads(text), **{key: value for key, value in arguments.items()
                                              if key.endswith("_pattern")}})
    factors = {}
    for path, module in model.base_model.model.named_modules():
        if not isinstance(module, BaseTunerLayer):
            continue
        factor = next((getattr(module, name)["default"] for name in FACTORS
                       if "default" in getattr(module, name, {})), None)
        if peft_type == "HIRA":
            factor = 1.0  # The update is base * (B @ A), without a factor.
        if peft_type == "SUPERTUNING":
            rank = module.supertuning_rank["default"]
            factor = module.supertuning_lora_alpha["default"] / rank if rank else 1.0
        rank = getattr(module, "r", None)
        rank = rank.get("default") if isinstance(rank, dict) else None
        factors[path] = (factor, rank)
    return text, factors


def main(oracle: str) -> int:
    cases = [(peft_type, arguments, *live_factors(peft_type, arguments)) for peft_type, arguments in configs()]
    answers = ask(oracle, [{"text": text, "paths": list(factors)} for _, _, text, factors in cases])
    failures, checked = [], 0
    for (peft_type, arguments, _, factors), answer in zip(cases, answers):
        if "rule" in answer:
            failures.append(f"{peft_type} {arguments}: {answer}")
            continue
        for (path, (factor, rank)), (ours, our_rank) in zip(factors.items(), answer["strengths"]):
            checked += 1
            if factor != ours:
                failures.append(f"{peft_type} {arguments} {path}: PEFT {factor}, we {ours}")
            if rank is not None and peft_type not in ("OFT", "ADALORA") and rank != our_rank:
                failures.append(f"{peft_type} {arguments} {path}: rank {rank}, we {our_rank}")
    return report("strengths", checked, failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
