# SPDX-License-Identifier: Apache-2.0
"""Compares `ferrule explain` with the `scaling` of every layer of live PEFT models.

usage: explain_peft.py FERRULE

Each adapter is saved by PEFT, its patterns are put into an order that PEFT would not write, and it is loaded again:
what PEFT then does with the file is the truth.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import torch

warnings.simplefilter("ignore")
import peft  # noqa: E402
from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: E402

FERRULE = sys.argv[1]
FACTORS = ("scaling", "deft_scaling", "fourierft_scaling", "waveft_scaling")
SIZE = 16


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = torch.nn.Linear(SIZE, SIZE)
        self.v_proj = torch.nn.Linear(SIZE, SIZE)


class Experts(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_up_proj = torch.nn.Parameter(torch.randn(3, SIZE, SIZE))
        self.down_proj = torch.nn.Parameter(torch.randn(3, SIZE, SIZE))


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn = Attention()
        self.up_proj = torch.nn.Linear(SIZE, SIZE)
        self.experts = Experts()
        self.mha = torch.nn.MultiheadAttention(SIZE, 2)
        self.conv = torch.nn.Conv2d(SIZE, SIZE, 3)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(20, SIZE)
        self.layers = torch.nn.ModuleList([Layer() for _ in range(3)])

    def forward(self, x):
        return x


TARGETS = ["q_proj", "v_proj", "up_proj"]
# In this order; PEFT writes them sorted.
TABLES = [
    {"rank_pattern": {"q_proj": 5, r".*\.self_attn\..*": 3}, "alpha_pattern": {"v_proj": 3, "layers.0.*": 2}},
    {"rank_pattern": {r".*\.self_attn\..*": 3, "q_proj": 5}, "alpha_pattern": {"layers.0.*": 2, "v_proj": 3}},
    {"rank_pattern": {"^layers.1.up_proj": 2, "up_proj": 7}, "alpha_pattern": {"up_proj": 1.5}},
    {"rank_pattern": {"proj": 2}, "alpha_pattern": {}},
]
CASES = []
for tables in TABLES:
    for rslora in (False, True):
        CASES.append(("LORA", {"r": 4, "lora_alpha": 12, "use_rslora": rslora, **tables}))
    CASES.append(("LORA", {"r": 4, "lora_alpha": 12, "use_dora": True, **tables}))
    CASES.append(("LOHA", {"r": 4, "alpha": 5, **tables}))
    CASES.append(("LOKR", {"r": 4, "alpha": 5, **tables}))
CASES += [
    ("LORA", {"r": 4, "lora_alpha": 6, "target_modules": ["mha", "conv", "embed_tokens"],
              "rank_pattern": {"layers.1.mha": 8, "out_proj": 3, "conv": 2}, "alpha_pattern": {"mha": 16}}),
    ("LORA", {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj"],
              "target_parameters": ["experts.down_proj", "experts.gate_up_proj"],
              "rank_pattern": {"down_proj": 2, "layers.2.experts.gate_up_proj": 1}, "alpha_pattern": {"gate_up_proj": 9}}),
    ("ADALORA", {"init_r": 6, "lora_alpha": 8, "total_step": 10}),
    ("DELORA", {"r": 4, "rank_pattern": {"q_proj": 2}}),
    ("HIRA", {"r": 4}),
    ("RANDLORA", {"r": 4, "randlora_alpha": 50}),
    ("GRALORA", {"r": 4, "alpha": 30, "gralora_k": 2, "hybrid_r": 3}),
    ("DEFT", {"r": 4, "alpha": 9}),
    ("PSOFT", {"r": 4, "psoft_alpha": 10}),
    ("FOURIERFT", {"n_frequency": 5, "scaling": 77.5}),
    ("WAVEFT", {"n_frequency": 5, "scaling": 12.25}),
    ("LILY", {"r": 4, "scaling": 2.5}),
    ("PEANUT", {"r": 4, "scaling": 0.75}),
    ("SHIRA", {"r": 4}),
    ("IA3", {"feedforward_modules": []}),
    ("OFT", {"oft_block_size": 4}),
    ("VERA", {"r": 4}),
]


def factor_of(peft_type, module):
    if peft_type == "HIRA":
        return 1.0  # The update is base * (B @ A), without a factor.
    if peft_type == "DELORA":
        return module.delora_lambda["default"].item() / module.r["default"]
    return next((getattr(module, name)["default"] for name in FACTORS if "default" in getattr(module, name, {})), None)


def live(peft_type, options, folder):
    """Disk path -> (factor, rank) of the model that PEFT makes of the folder."""
    options = {"target_modules": TARGETS, **options}
    model = peft.get_peft_model(Model(), peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft_type](**options))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "delora_lambda" in name:
                value.uniform_(0.5, 2)
    model.save_pretrained(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    for name in ("rank_pattern", "alpha_pattern"):
        if options.get(name):
            config[name] = options[name]
    path.write_text(json.dumps(config))
    loaded = peft.PeftModel.from_pretrained(Model(), folder)
    return {name: (factor_of(peft_type, module), module.r.get("default") if isinstance(getattr(module, "r", None), dict) else None)
            for name, module in loaded.base_model.model.named_modules() if isinstance(module, BaseTunerLayer)}


def main():
    failures, checks = [], 0
    with tempfile.TemporaryDirectory() as base:
        for number, (peft_type, options) in enumerate(CASES):
            folder = pathlib.Path(base) / str(number)
            truth = live(peft_type, options, folder)
            done = subprocess.run([FERRULE, "explain", str(folder), "--json"], capture_output=True, text=True)
            if done.returncode:
                failures.append(f"{peft_type} {options}: exit {done.returncode} {done.stderr}")
                continue
            rows = {row["module"]: row for row in json.loads(done.stdout)["modules"]}
            if set(rows) != set(truth):
                failures.append(f"{peft_type} {options}: modules {sorted(set(rows) ^ set(truth))}")
                continue
            for module, (factor, rank) in truth.items():
                checks += 1
                row = rows[module]
                same = factor == row["strength"] if peft_type != "DELORA" else abs(factor - row["strength"]) < 1e-6
                if not same:
                    failures.append(f"{peft_type} {options} {module}: PEFT {factor}, ferrule {row}")
                if rank is not None and peft_type not in ("OFT", "ADALORA") and rank != row["rank"]:
                    failures.append(f"{peft_type} {options} {module}: PEFT's rank {rank}, ferrule {row}")
    for failure in failures[:20]:
        print(failure)
    print(f"explain: {checks} layers, {len(failures)} failed")
    return 1 if failures or checks < 250 else 0


if __name__ == "__main__":
    sys.exit(main())
