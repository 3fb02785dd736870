# SPDX-License-Identifier: Apache-2.0
"""Compares which modules a config targets with PEFT's own rules."""

import itertools
import json
import os
import sys
import tempfile
import warnings

from oracle import ask, report

warnings.simplefilter("ignore")
import peft  # noqa: E402
from peft.tuners.ia3.model import IA3Model  # noqa: E402
from peft.tuners.tuners_utils import _ExcludedModule, check_target_module_exists  # noqa: E402

PATHS = [
    "q_proj", "model.q_proj", "xq_proj", "model", "model.layers", "model.layers.0", "layers.0.q_proj",
    "layers.1.mlp.up", "lm_head", "model.lm_head", "head.0.fc", "head", "h.3.attn.q_proj",
    *(f"model.layers.{i}.{name}" for i in (0, 1, 11) for name in ("self_attn.q_proj", "self_attn.v_proj", "mlp.up")),
    *(f"model.layers.{i}.experts.{e}.up" for i in (0, 1) for e in (0, 1)),
    "decoder.blocks.2.layers.1.q_proj", "a.b.0.c.1.q_proj", "transformer.h.0.mlp.up", "model.layers.x.q_proj",
]
TARGETS = [
    ["q_proj"], ["q_proj", "up"], ["self_attn.q_proj"], ["model.layers.1.self_attn.q_proj", "up"], ["nothing"],
    r".*\.(q|v)_proj", r"model\.layers\.\d+\.mlp\.up", "q_proj", ["fc", "lm_head"], r".*", ["0"],
]
EXCLUDES = [None, ["v_proj", "lm_head"], r".*layers\.0\..*", ["self_attn.q_proj"], []]
LAYERS = [(None, None), (1, None), ([0, 1], None), ([], None), ([1], "layers"), (0, ["h", "layers"]), ([1], "experts"),
          ([0], r".*"), ([1, 11], r"model\.layers"), ([2], ["blocks"])]
SAVED = [None, ["lm_head"], ["head", "q_proj"], [r"layers\.0"]]
FEEDFORWARD = [["up"], [], r".*\.up", ["q_proj", "p"]]


def configs():
    for targets, exclude, (layers, pattern), saved in itertools.product(TARGETS, EXCLUDES, LAYERS, SAVED):
        fields = {"target_modules": targets, "exclude_modules": exclude, "modules_to_save": saved}
        if isinstance(targets, str) and layers is not None:
            continue  # PEFT refuses it.
        yield peft.LoraConfig(layers_to_transform=layers, layers_pattern=pattern, **fields)
    for targets, exclude, feedforward in itertools.product(TARGETS, EXCLUDES, FEEDFORWARD):
        try:
            yield peft.IA3Config(target_modules=targets, exclude_modules=exclude, feedforward_modules=feedforward)
        except ValueError:
            continue  # feedforward_modules must be among target_modules.


def expected(config, path: str) -> list:
    found = check_target_module_exists(config, path)
    judged = "excluded" if isinstance(found, _ExcludedModule) else "targeted" if found else "no"
    feedforward = (config.peft_type == peft.PeftType.IA3
                   and bool(IA3Model._check_target_module_feedforward(config, path)))
    saved = any(path.endswith(entry) for entry in config.modules_to_save or [])
    return [judged, feedforward, saved]


def main(oracle: str) -> int:
    cases = []
    for config in configs():
        with tempfile.TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            text = open(os.path.join(folder, "adapter_config.json"), encoding="utf-8").read()
        cases.append((config, text))
    answers = ask(oracle, [{"text": text, "targets": PATHS} for _, text in cases])
    failures, checked, kinds = [], 0, set()
    for (config, text), answer in zip(cases, answers):
        if "rule" in answer:
            failures.append(f"{text}: {answer}")
            continue
        for path, row in zip(PATHS, answer["rows"]):
            want = expected(config, path)
            checked += 1
            kinds.add(tuple(want))
            if row != want:
                fields = {k: v for k, v in json.loads(text).items()
                          if k in ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
                                   "modules_to_save", "feedforward_modules")}
                failures.append(f"{fields} {path}: PEFT {want}, we {row}")
    if len(kinds) < 6:
        failures.append(f"the cases are too alike: {kinds}")
    return report("targets", checked, failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
