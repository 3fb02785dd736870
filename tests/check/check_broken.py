# SPDX-License-Identifier: Apache-2.0
"""Breaks pairs of base and adapter in each way that `ferrule check` has a code for, and compares with live PEFT.

usage: check_broken.py FERRULE [NAME]

Where PEFT loads everything, check says ok or warn; where it raises, drops tensors or leaves layers untrained, check says
bad, with the code of the cause. What no load can show (values, quantised bases, configs alone) stands on its own.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import torch
from check_models import BERT, GQA, MODELS, P, QV, T
from peft_verdict import peft_verdict
from safetensors.torch import load_file, save_file

FERRULE = sys.argv[1]
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""


def llama(**changes):
    return lambda: T.LlamaForCausalLM(T.LlamaConfig(**{**GQA, **changes}))


class Case:
    """A pair in its own folder. `live` makes the base as PEFT's user would load it; None where PEFT has no say."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.base, self.adapter = self.folder / "base", self.folder / "adapter"
        self.live, self.options = None, ()

    def save(self, model, config, base=None):
        torch.manual_seed(0)
        adapted = P.get_peft_model(model(), config)
        adapted.save_pretrained(self.adapter)
        made = (base or model)()
        made.save_pretrained(self.base)
        self.live = type(made).from_pretrained
        return self

    @property
    def weights(self):
        return self.adapter / "adapter_model.safetensors"

    def rename(self, *substitutions):
        def name(key):
            for pattern, replacement in substitutions:
                key = re.sub(pattern, replacement, key)
            return key

        save_file({name(k): v for k, v in load_file(self.weights).items()}, self.weights, metadata={"format": "pt"})
        return self

    def keep(self, predicate):
        save_file({k: v for k, v in load_file(self.weights).items() if predicate(k)}, self.weights, metadata={"format": "pt"})
        return self

    def change(self, function):
        save_file({k: function(k, v).contiguous() for k, v in load_file(self.weights).items()}, self.weights, metadata={"format": "pt"})
        return self

    def edit(self, **fields):
        path = self.adapter / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
        return self

    def ask(self, *options):
        self.options = options
        return self

    def alone(self):
        self.live = None
        return self

    def per_expert(self, parts):
        """Tensors for experts one by one, as adapters for version 4 have them."""
        tensors = {k: v for k, v in load_file(self.weights).items() if "experts" not in k}
        for layer in range(2):
            for expert in range(3):
                for part, (rows, columns) in parts.items():
                    key = f"base_model.model.model.layers.{layer}.block_sparse_moe.experts.{expert}.{part}"
                    tensors[f"{key}.lora_A.weight"] = torch.randn(2, columns)
                    tensors[f"{key}.lora_B.weight"] = torch.randn(rows, 2)
        save_file(tensors, self.weights, metadata={"format": "pt"})
        return self


def lora(**fields):
    return P.LoraConfig(**{"r": 4, **QV, **fields})


W1, W2 = (48, 32), (32, 48)


def vit_of_version_4(c):
    c.save(MODELS["vit"], lora(target_modules=["q_proj"]))
    return c.rename((r"layers\.(\d)\.attention\.q_proj", r"encoder.layer.\1.attention.attention.query")).edit(target_modules=["query"])


def quantised(c):
    c.save(llama(), lora())
    tensors = {}
    for key, value in load_file(c.base / "model.safetensors").items():
        if key.endswith("_proj.weight"):
            stem = key[: -len(".weight")]
            tensors[stem + ".qweight"] = torch.zeros(value.shape[1] // 8, value.shape[0], dtype=torch.int32)
            tensors[stem + ".scales"] = torch.zeros(1, value.shape[0])
        else:
            tensors[key] = value
    save_file(tensors, c.base / "model.safetensors", metadata={"format": "pt"})
    return c.alone()


def head_cut_off(c):
    c.save(llama(), lora(target_modules=["q_proj", "lm_head"]))
    tensors = load_file(c.base / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, c.base / "model.safetensors", metadata={"format": "pt"})
    return c.alone()


def one_layer_zero(key, value):
    return torch.zeros_like(value) if "lora_B" in key and "layers.0" in key else torch.ones_like(value)


def sequence_classifier(c):
    c.save(MODELS["bert_cls"], lora(target_modules=["query"], task_type="SEQ_CLS"), base=MODELS["bert_mlm"])
    c.live = lambda path: T.BertForSequenceClassification.from_pretrained(path, num_labels=3)
    return c


def with_embeddings(c):
    """LoRA on the attention, and both embeddings in the file, as after resizing them."""
    adapted = P.get_peft_model(llama()(), lora())
    llama()().save_pretrained(c.base)
    adapted.save_pretrained(c.adapter, save_embedding_layers=True)
    return c


def with_tokens(c, number):
    c.save(llama(), lora()).alone()
    (c.adapter / "added_tokens.json").write_text(json.dumps({"<new>": number}))
    return c


def plain_model(c):
    c.save(lambda: T.BertModel(T.BertConfig(**BERT)), lora(target_modules=["query"], task_type="FEATURE_EXTRACTION"), base=MODELS["bert_mlm"])
    c.live = T.BertModel.from_pretrained
    return c


def config_alone(c, **changes):
    c.save(llama(**changes), lora(), base=llama())
    (c.base / "model.safetensors").unlink()
    return c.alone()


def seen_by_config(c, config, **changes):
    """A base of which only config.json is there, for an adapter of a model with these changes."""
    c.save(llama(**changes), config, base=llama())
    (c.base / "model.safetensors").unlink()
    return c.alone()


# name: (how, code that must be among the findings, verdict)
CASES = {
    "wrapper_prefix_too_many": (lambda c: c.save(llama(), lora()).rename((r"model\.model\.layers", "model.model.language_model.layers")), "BS-3", "bad"),
    "wrapper_prefix_lacking": (lambda c: c.save(llama(), lora(), base=MODELS["llava"]), "BS-3", "bad"),
    "model_prefix_lacking": (lambda c: c.save(llama(), lora()).rename((r"model\.model\.layers", "model.layers")), "BS-3", "bad"),
    "renamed_by_transformers": (vit_of_version_4, "BS-4", "bad"),
    "experts_one_by_one": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1, "w2": W2, "w3": W1}).edit(target_modules=["q_proj", "v_proj", "w1", "w2", "w3"]), "BS-19", "ok"),
    "gate_and_up_without_down": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1, "w3": W1}).edit(target_modules=["q_proj", "v_proj", "w1", "w3"]), "BS-5", "bad"),
    "pattern_for_a_part_of_an_expert": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1, "w2": W2, "w3": W1}).edit(target_modules=["q_proj", "v_proj", "w1", "w2", "w3"], r=4, rank_pattern={"w[123]": 2, "q_proj": 2, "v_proj": 2}), "BS-26", "bad"),
    "fused_experts_with_dropout": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1, "w2": W2, "w3": W1}).edit(target_modules=["q_proj", "v_proj", "w1", "w2", "w3"], lora_dropout=0.05), "BS-25", "bad"),
    "fused_experts_with_rslora": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1, "w2": W2, "w3": W1}).edit(target_modules=["q_proj", "v_proj", "w1", "w2", "w3"], use_rslora=True).alone(), "BS-26", "bad"),
    "norm_as_target": (lambda c: c.save(llama(), lora()).edit(target_modules=["q_proj", "v_proj", "input_layernorm"]), "BS-24", "bad"),
    "container_as_target": (lambda c: c.save(llama(), lora()).edit(target_modules=r".*\.self_attn(\.[qv]_proj)?"), "BS-24", "bad"),
    "router_as_target": (lambda c: c.save(MODELS["gpt_oss"], lora()).edit(target_modules=["q_proj", "v_proj", "router"]), "BS-24", "bad"),
    "magnitudes_without_dora": (lambda c: c.save(llama(), lora(use_dora=True)).edit(use_dora=False), "AD-24", "bad"),
    "dora_without_magnitudes": (lambda c: c.save(llama(), lora()).edit(use_dora=True), "AD-24", "bad"),
    "biases_without_lora_bias": (lambda c: c.save(MODELS["opt"], lora(lora_bias=True)).edit(lora_bias=False), "AD-24", "bad"),
    "saved_module_missing": (lambda c: c.save(llama(), lora()).edit(modules_to_save=["lm_head"]), "BS-27", "bad"),
    "half_an_expert_pair": (lambda c: c.save(MODELS["mixtral"], lora(r=2)).per_expert({"w1": W1}).edit(target_modules=["q_proj", "v_proj", "w1"]), "BS-5", "bad"),
    "unknown_module": (lambda c: c.save(llama(), lora()).rename((r"layers\.1\.self_attn\.q_proj", "layers.1.self_attn.q_prj")).edit(target_modules=["q_proj", "v_proj", "q_prj"]), "BS-1", "bad"),
    "torch_compile": (lambda c: c.save(llama(), lora()).rename((r"base_model\.model\.", "base_model.model._orig_mod.")), "BS-6", "bad"),
    "fsdp": (lambda c: c.save(llama(), lora()).rename((r"layers\.(\d)\.", r"layers.\1._fsdp_wrapped_module.")), "BS-6", "bad"),
    "ddp": (lambda c: c.save(llama(), lora()).rename((r"base_model\.model\.", "base_model.model.module.")), "BS-6", "bad"),
    "adapter_name_left": (lambda c: c.save(llama(), lora()).rename((r"\.weight$", ".default.weight")), "AD-8", "bad"),
    "key_prefix_lacking": (lambda c: c.save(llama(), lora()).rename((r"^base_model\.model\.", "")), "AD-11", "bad"),
    "other_architecture": (lambda c: c.save(MODELS["gpt2"], lora(target_modules=["c_attn"], fan_in_fan_out=True), base=llama()), "BS-7", "bad"),
    "other_width": (lambda c: c.save(llama(), lora(), base=llama(hidden_size=64)), "BS-2", "bad"),
    "other_width_is_summed_up": (lambda c: c.save(llama(), lora(), base=llama(hidden_size=64)), "BS-8", "bad"),
    "more_layers": (lambda c: c.save(llama(num_hidden_layers=4), lora(), base=llama()), "BS-8", "bad"),
    "fewer_layers": (lambda c: c.save(llama(), lora(), base=llama(num_hidden_layers=4)), "BS-12", "bad"),
    "transposed": (lambda c: c.save(MODELS["gpt2"], lora(target_modules=["c_fc"], fan_in_fan_out=True)).change(lambda k, v: torch.zeros(4, 128) if "lora_A" in k else torch.zeros(32, 4)), "BS-2", "bad"),
    "vocabulary_of_a_saved_head": (lambda c: c.save(llama(vocab_size=50), lora(modules_to_save=["lm_head"]), base=llama()), "BS-9", "bad"),
    "vocabulary_of_an_embedding": (lambda c: c.save(llama(vocab_size=50), lora(target_modules=["embed_tokens"]), base=llama()), "BS-9", "bad"),
    "vocabulary_of_a_head": (lambda c: c.save(llama(vocab_size=50), lora(target_modules=["lm_head"]), base=llama()), "BS-9", "bad"),
    "token_beyond_the_vocabulary": (lambda c: c.save(llama(vocab_size=50), lora(trainable_token_indices=[49]), base=llama()).alone(), "BS-9", "bad"),
    "target_without_tensors": (lambda c: c.save(llama(), lora()).edit(target_modules=["q_proj", "v_proj", "qkv"]), "BS-10", "warn"),
    "target_in_the_base_without_tensors": (lambda c: c.save(llama(), lora()).edit(target_modules=["q_proj", "v_proj", "k_proj"]), "BS-12", "bad"),
    "tensors_without_target": (lambda c: c.save(llama(), lora()).edit(target_modules=["q_proj"]), "BS-11", "bad"),
    "tensors_of_other_layers": (lambda c: c.save(llama(), lora()).edit(layers_to_transform=[1]), "BS-11", "bad"),
    "missing_layer": (lambda c: c.save(llama(), lora()).keep(lambda k: "layers.1" not in k), "BS-12", "bad"),
    "missing_experts": (lambda c: c.save(MODELS["mixtral"], lora(r=2, target_parameters=["experts.gate_up_proj", "experts.down_proj"])).keep(lambda k: "layers.1.mlp" not in k), "BS-12", "bad"),
    "other_number_of_experts": (lambda c: c.save(MODELS["mixtral"], lora(r=2, target_parameters=["experts.gate_up_proj"]), base=lambda: T.MixtralForCausalLM(T.MixtralConfig(**GQA, num_local_experts=4, num_experts_per_tok=2))), "BS-2", "bad"),
    "half_a_pair": (lambda c: c.save(llama(), lora()).keep(lambda k: "layers.1.self_attn.q_proj.lora_B" not in k), "AD-4", "bad"),
    "zero_update": (lambda c: c.save(llama(), lora()).alone().ask("--values"), "AD-21", "bad"),
    "some_zero_updates": (lambda c: c.save(llama(), lora()).change(one_layer_zero).alone().ask("--values"), "AD-21", "warn"),
    "not_finite": (lambda c: c.save(llama(), lora()).change(lambda k, v: torch.full_like(v, float("nan"))).alone().ask("--values"), "AD-20", "bad"),
    "biases_for_all": (lambda c: c.save(MODELS["opt"], lora(bias="all")), "BS-13", "warn"),
    "embeddings_for_all": (lambda c: c.save(llama(), lora(target_modules=["embed_tokens"])), "BS-13", "ok"),
    "quantised_base": (quantised, "BS-14", "ok"),
    "head_neither_there_nor_tied": (head_cut_off, "BS-17", "bad"),
    "head_of_the_task": (sequence_classifier, "BS-18", "warn"),
    "plain_model_of_a_model_with_head": (plain_model, "", "ok"),
    "prompt_of_other_width": (lambda c: c.save(llama(), P.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"), base=llama(hidden_size=64)), "BS-2", "bad"),
    "config_alone": (config_alone, "BS-16", "unknown"),
    "config_alone_of_fewer_layers": (lambda c: config_alone(c, num_hidden_layers=4), "BS-8", "bad"),
    "config_alone_and_a_token_beyond_it": (lambda c: seen_by_config(c, lora(trainable_token_indices=[49]), vocab_size=50), "BS-9", "bad"),
    "config_alone_and_a_token_in_it": (lambda c: seen_by_config(c, lora(trainable_token_indices=[47])), "BS-16", "unknown"),
    "config_alone_and_a_larger_head": (lambda c: seen_by_config(c, lora(modules_to_save=["lm_head"]), vocab_size=50), "BS-9", "bad"),
    "config_alone_and_larger_embeddings": (lambda c: seen_by_config(c, lora(target_modules=["embed_tokens"]), vocab_size=50), "BS-9", "bad"),
    "partial_allowed": (lambda c: c.save(llama(num_hidden_layers=4), lora(), base=llama()).alone().ask("--allow-partial"), "BS-8", "warn"),
    "partial_with_nothing": (lambda c: c.save(MODELS["gpt2"], lora(target_modules=["c_attn"], fan_in_fan_out=True), base=llama()).alone().ask("--allow-partial"), "BS-7", "bad"),
    "partial_never_a_shape": (lambda c: c.save(llama(), lora(), base=llama(hidden_size=64)).alone().ask("--allow-partial"), "BS-2", "bad"),
    "engine_refuses": (lambda c: c.save(llama(), lora(use_dora=True)).alone().ask("--for", "vllm"), "BS-20", "bad"),
    "engine_ignores": (lambda c: c.save(llama(), lora(use_dora=True)).alone().ask("--for", "lorax"), "BS-21", "bad"),
    "engine_weakens": (lambda c: c.save(llama(), lora(use_rslora=True)).alone().ask("--for", "lmdeploy"), "BS-22", "bad"),
    "engine_ignores_patterns": (lambda c: c.save(llama(), lora(alpha_pattern={"q_proj": 64})).alone().ask("--for", "vllm@0.31"), "BS-22", "bad"),
    "engine_follows_patterns": (lambda c: c.save(llama(), lora(alpha_pattern={"q_proj": 64})).alone().ask("--for", "vllm"), "", "ok"),
    "engine_of_a_later_release": (lambda c: c.save(llama(), lora()).alone().ask("--for", "vllm@0.99"), "BS-23", "ok"),
    "engine_checks_shapes": (lambda c: c.save(llama(), lora(rank_pattern={"q_proj": 2})).alone().ask("--for", "sglang"), "BS-20", "bad"),
    "engine_takes_a_head": (lambda c: sequence_classifier(c).ask("--for", "vllm@0.31"), "BS-23", "warn"),
    "engine_takes_no_head": (lambda c: sequence_classifier(c).alone().ask("--for", "vllm@0.30"), "BS-20", "bad"),
    "engine_takes_zero_for_one": (lambda c: c.save(llama(), lora(lora_alpha=0)).alone().ask("--for", "llama.cpp"), "BS-22", "bad"),
    "engine_refuses_embeddings": (lambda c: with_embeddings(c).ask("--for", "vllm"), "BS-20", "bad"),
    "converter_refuses_embeddings": (lambda c: with_embeddings(c).ask("--for", "llama.cpp"), "BS-20", "bad"),
    "engine_refuses_new_tokens": (lambda c: with_tokens(c, 5000).ask("--for", "sglang"), "BS-20", "bad"),
    "engine_takes_a_list_of_old_tokens": (lambda c: with_tokens(c, 5).ask("--for", "sglang"), "", "ok"),
    "engine_wants_the_changed_base": (lambda c: c.save(llama(), lora(init_lora_weights="pissa")).alone().ask("--for", "vllm"), "BS-20", "bad"),
    "engine_is_silent_on_it": (lambda c: c.save(llama(), lora(modules_to_save=["lm_head"])).alone().ask("--for", "lmdeploy"), "BS-23", "warn"),
    "rank_above_the_default": (lambda c: c.save(llama(), lora(r=32)).alone().ask("--for", "vllm"), "BS-20", "warn"),
    "plain_for_vllm": (lambda c: c.save(llama(), lora()).alone().ask("--for", "vllm"), "", "ok"),
}


def live_verdict(case):
    return peft_verdict(lambda: case.live(case.base), case.adapter)


def run(name, how, code, verdict):
    with tempfile.TemporaryDirectory() as folder:
        case = how(Case(folder))
        done = subprocess.run([FERRULE, "check", case.adapter, "--base", case.base, "--json", *case.options], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            return f"exit {done.returncode}: {done.stderr[-300:]}"
        answer = json.loads(done.stdout)
        said = f"{answer['verdict']} {answer['modules']} " + "; ".join(f"{f['rule']} {f['key']}: {f['message']}" for f in answer["findings"][:3])
        if answer["verdict"] != verdict or (done.returncode == 0) != (verdict in ("ok", "warn")):
            return f"expected {verdict}, got {said}"
        if code and code not in [f["rule"] for f in answer["findings"]]:
            return f"no {code} in {said}"
        if case.live is None:
            return None
        live = live_verdict(case)
        if (live == "loads") != (verdict in ("ok", "warn")):
            return f"PEFT {live}, we say {said}"
        return None


def main():
    failed = []
    chosen = {name: case for name, case in CASES.items() if not ONLY or name in ONLY.split(",")}
    for name, (how, code, verdict) in chosen.items():
        problem = run(name, how, code, verdict)
        if problem:
            failed.append(f"{name}: {problem}")
    print("\n".join(failed))
    print(f"{len(chosen) - len(failed)} of {len(chosen)} cases as expected")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
