# SPDX-License-Identifier: Apache-2.0
"""Gives a table of configs to real PEFT and to us: who constructs it, and what text comes out."""

import json
import os
import sys
import tempfile
import types
import warnings

from oracle import ask, report

warnings.simplefilter("ignore")
import peft  # noqa: E402

sys.modules.setdefault("sklearn", types.ModuleType("sklearn"))

REQUIRED = {"ADALORA": {"total_step": 10}, "CPT": {"task_type": "CAUSAL_LM"}}
NUMBERS = (-3, -1, 0, 1, 2, 3, 5, 10**6, 0.5, -0.5, 1.0, 1.5)
# Fields that decide together.
TOGETHER = {
    "LORA": [
        {"use_dora": True, "lora_bias": True}, {"lora_bias": True, "init_lora_weights": "gaussian"},
        {"lora_bias": True, "init_lora_weights": False}, {"use_dora": True, "megatron_config": {"a": 1}},
        {"init_lora_weights": "loftq"}, {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}},
        {"loftq_config": {"loftq_bits": 4}}, {"init_lora_weights": "eva"}, {"init_lora_weights": "corda"},
        {"init_lora_weights": "eva", "eva_config": {"rho": 3.0}}, {"eva_config": {"rho": 0.5}}, {"eva_config": {"tau": 1.5}},
        {"init_lora_weights": "eva", "loftq_config": {"loftq_bits": 4}},
        {"init_lora_weights": "corda", "eva_config": {}}, {"velora_config": {}}, {"velora_config": {"num_groups": 0}},
        {"velora_config": {"scale": -1}}, {"velora_config": {"init_type": "x"}}, {"arrow_config": {"top_k": 0}},
        {"arrow_config": {}}, {"arrow_config": {"router_temperature": 0}}, {"kasa_config": {"beta": -1}}, {"kasa_config": {}},
        {"monteclora_config": {"num_samples": 0}}, {"monteclora_config": {"buffer_size": 0}}, {"monteclora_config": {}},
        {"monteclora_config": {"dirichlet_prior": 0}}, {"lora_ga_config": {}}, {"use_bdlora": {}}, {"corda_config": {}},
        {"use_bdlora": {"target_modules_bd_a": ["a"], "target_modules_bd_b": ["a"]}},
        {"use_bdlora": {"target_modules_bd_a": ["a"], "target_modules_bd_b": ["b"]}},
        {"rank_pattern": {"b": 1, "a": 2}}, {"alora_invocation_tokens": [1, 2]}, {"layer_replication": [[0, 2], [1, 2]]},
        {"target_parameters": ["b", "a"]}, {"trainable_token_indices": {"x": [1]}}, {"trainable_token_indices": [3, 1]},
        {"use_rslora": True, "lora_alpha": 11.313708498984761}, {"lora_dropout": 1e-05}, {"base_model_name_or_path": "ü/😀\x7f"},
        {"runtime_config": {"ephemeral_gpu_offload": True}}, {"modules_to_save": ["b", "a"]},
    ],
    "ADALORA": [{"use_dora": True}, {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}, {"total_step": None},
                {"tinit": 5, "tfinal": 5}, {"tinit": 4, "tfinal": 5}, {"rank_pattern": {"a.lora_E": [True, False]}}],
    "ADAMSS": [{"init_weights": False}, {"init_weights": None}, {"use_asa": True, "mask_interval": 0},
               {"use_asa": True, "init_warmup": 9, "final_warmup": 9}, {"use_asa": True, "asa_target_subspaces": 0},
               {"use_asa": True, "asa_schedule_exponent": 0}, {"use_asa": True}],
    "BOFT": [{"boft_block_size": 0}, {"boft_block_num": 4}, {"boft_block_size": 0, "boft_block_num": 4}],
    "CARTRIDGE": [{"num_virtual_tokens": 4, "num_frozen_tokens": 5}, {"num_virtual_tokens": 4, "num_frozen_tokens": 4}],
    "CPT": [{"task_type": None}, {"task_type": "SEQ_CLS"}, {"cpt_token_ids": [1, 2], "cpt_mask": [1]},
            {"cpt_token_ids": [1, 2]}, {"cpt_token_ids": [1, 2], "cpt_tokens_type_mask": [1, 2, 3]}],
    "GRALORA": [{"r": 7, "gralora_k": 2}, {"r": 8, "gralora_k": 4}],
    "IA3": [{"target_modules": ["a", "b"], "feedforward_modules": ["b"]}, {"target_modules": ["a"], "feedforward_modules": ["c"]},
            {"target_modules": ".*", "feedforward_modules": ["c"]}, {"feedforward_modules": ["c"]},
            {"target_modules": ["a"], "feedforward_modules": "c"}],
    "OFT": [{"r": 0, "oft_block_size": 0}, {"r": 4, "oft_block_size": 0}, {"r": 4, "oft_block_size": 4}],
    "PROMPT_TUNING": [{"prompt_tuning_init": "TEXT"}, {"prompt_tuning_init": "TEXT", "tokenizer_name_or_path": "x"},
                      {"prompt_tuning_init": "TEXT", "tokenizer_name_or_path": "x", "prompt_tuning_init_text": "y"},
                      {"tokenizer_kwargs": {"a": 1}}, {"tokenizer_kwargs": {}}],
    "PSOFT": [{"use_cayley_neumann": True, "num_cayley_neumann_terms": 0}, {"num_cayley_neumann_terms": 0},
              {"use_cayley_neumann": True, "cayley_neumann_eps": 1.0}, {"cayley_neumann_eps": 1.0},
              {"use_cayley_neumann": True, "cayley_neumann_eps": 0.5}],
    "SHADOW": [{"shadow_model": "x"}, {"shadow_model": "x", "shadow_hidden_size": 4}, {"shadow_hidden_size": 4}],
    "SUPERTUNING": [{"r": 4}, {"r": 4, "lora_alpha": 3}, {"lora_alpha": 3}],
    "XLORA": [{"hidden_size": 8, "adapters": {"b": "x", "a": "y"}}],
}
# Values that only matter when layers are made, where we are stricter than the constructor on purpose:
# PEFT could not load such an adapter.
LAYER_CHECKED = {"bias", "r", "init_r", "topk", "hybrid_r", "poly_type"}


def questions():
    for peft_type, config_class in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items():
        peft_type = str(getattr(peft_type, "value", peft_type))
        base = {"peft_type": peft_type, **REQUIRED.get(peft_type, {})}
        if peft_type == "OFT":
            base["oft_block_size"] = 32
        fields = set(config_class.__dataclass_fields__)
        yield base
        for task in [*peft.TaskType, "causal_lm", "CAUSAL", ""]:
            yield {**base, "task_type": getattr(task, "value", task)}
        for extra in TOGETHER.get(peft_type, []):
            yield {**base, **extra}
        for targets in (["b", "a"], ".*x", [], None):
            for layers in (None, [1], 3, []):
                for pattern in (None, "layers", ["h"], "", []):
                    extra = {"target_modules": targets, "layers_to_transform": layers, "layers_pattern": pattern}
                    if set(extra) <= fields:
                        yield {**base, **extra}
        yield {**base, "exclude_modules": ["z", "b"], "some_future_field": 1}
        for name, field in config_class.__dataclass_fields__.items():
            default = field.default
            if isinstance(default, (int, float)) and not isinstance(default, bool):
                for number in NUMBERS:
                    if isinstance(number, int) or isinstance(default, float):
                        yield {**base, name: number}
            if isinstance(default, str) and name not in ("peft_type",):
                for text in ("none", "all", "x", "", "x_only", "lora", "vector", "qr", "db2", "gelu", "lowrank", "road_2"):
                    yield {**base, name: text}


def with_sorted_sets(config) -> str:
    values = config.to_dict()
    return json.dumps({key: sorted(value) if isinstance(value, set) else value for key, value in values.items()},
                      indent=2, sort_keys=True)


def pefts_answer(config: dict):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        config_class = peft.PEFT_TYPE_TO_CONFIG_MAPPING[config["peft_type"]]
        try:
            return with_sorted_sets(config_class.from_pretrained(folder))
        except (ValueError, TypeError, KeyError, AttributeError, ImportError, ZeroDivisionError) as error:
            return error


def main(oracle: str) -> int:
    cases = list(questions())
    answers = ask(oracle, [{"text": json.dumps(case)} for case in cases])
    failures, refused = [], 0
    for case, answer in zip(cases, answers):
        expected = pefts_answer(case)
        changed = {key: value for key, value in case.items() if key not in REQUIRED.get(case["peft_type"], {})}
        if isinstance(expected, Exception):
            refused += 1
            # Without scipy PEFT cannot tell whether LoftQ is configured well.
            if "rule" not in answer and not isinstance(expected, ImportError):
                failures.append(f"{changed}: PEFT refuses ({str(expected)[:80]}), we do not")
        elif "rule" in answer:
            if not (LAYER_CHECKED & set(case) and answer["rule"] in ("CF-10", "CF-11", "CF-12")):
                failures.append(f"{changed}: PEFT takes it, we say {answer['message'][:120]}")
        else:
            ours, theirs = json.loads(answer["text"]), json.loads(expected)
            if "some_future_field" in case:
                # PEFT drops the fields that it does not know, we keep them.
                ours = {key: value for key, value in ours.items() if key in theirs}
            if ours != theirs:
                differing = {key: (theirs.get(key), ours.get(key)) for key in {*ours, *theirs}
                             if ours.get(key) != theirs.get(key)}
                failures.append(f"{changed}: (PEFT, we) {differing}")
            elif "some_future_field" not in case and answer["text"] != expected:
                failures.append(f"{changed}: the texts differ")
    print(f"{refused} of {len(cases)} refused by PEFT")
    return report("configs", len(cases), failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
