# SPDX-License-Identifier: Apache-2.0
"""language_models.py FERRULE: PEFT, GGUF, mlx-lm and experts, there and back, and what is refused (rules EX).

Adapters are made of random numbers; readers in NumPy (formats.py) say what the outputs do.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import formats

FERRULE = sys.argv[1]
HIDDEN, INNER, HEADS, KV_HEADS, EXPERTS = 32, 64, 4, 2, 4
DENSE = {"self_attn.q_proj": (32, 32), "self_attn.k_proj": (32, 16), "self_attn.v_proj": (32, 16), "self_attn.o_proj": (32, 32),
         "mlp.gate_proj": (32, 64), "mlp.up_proj": (32, 64), "mlp.down_proj": (64, 32)}
TENSORS = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
           "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
random = np.random.default_rng(7)


def factors(path, size, rank):
    return {f"{path}.lora_A.weight": random.standard_normal((rank, size[0])) * 0.1,
            f"{path}.lora_B.weight": random.standard_normal((size[1], rank)) * 0.1}


def dense(rank=4, ranks=None):
    out = {}
    for layer in range(2):
        for module, size in DENSE.items():
            leaf = module.rsplit(".", 1)[1]
            out.update(factors(f"model.layers.{layer}.{module}", size, (ranks or {}).get(leaf, rank)))
    return out


def expert(layer, index, rank=4, names=("gate_proj", "up_proj", "down_proj"), block="mlp"):
    out = {}
    for name, size in zip(names, ((32, 16), (32, 16), (16, 32))):
        out.update(factors(f"model.layers.{layer}.{block}.experts.{index}.{name}", size, rank))
    return out


def fused(rank=3):
    out = {}
    for layer in range(2):
        experts = f"model.layers.{layer}.mlp.experts"
        out.update(factors(experts + ".base_layer", (32, 32), rank * EXPERTS))
        out.update(factors(experts, (16, 32), rank * EXPERTS))
    return out


class Case:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def base(self, class_name="LlamaForCausalLM", **fields):
        self.count += 1
        path = self.folder / f"base{self.count}"
        path.mkdir()
        config = {"architectures": [class_name], "hidden_size": HIDDEN, "intermediate_size": INNER, "num_attention_heads": HEADS,
                  "num_key_value_heads": KV_HEADS, "num_hidden_layers": 2, "tie_word_embeddings": False, "model_type": "llama", "vocab_size": 53}
        (path / "config.json").write_text(json.dumps({**config, **fields}))
        return path

    def source(self, tensors, dtype="F32", **config):
        self.count += 1
        path = self.folder / f"source{self.count}"
        formats.write_peft(path, tensors, dtype, **config)
        return path

    def run(self, source, to, *options):
        self.count += 1
        out = self.folder / f"out{self.count}"
        done = subprocess.run([FERRULE, "convert", source, "-o", out, "--to", to, "--json", "--durability", "fast", *map(str, options)],
                              capture_output=True, text=True, check=False)
        return out, done

    def convert(self, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert "--drop" in options or all(key.endswith(".base_layer.weight") for key in report["dropped"]), report["dropped"]
        return out, report

    def refuse(self, rule, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 1, (rule, done.returncode, done.stdout[:200])
        assert f"[{rule}]" in done.stderr, (rule, done.stderr)
        assert not out.exists()
        assert not [name for name in self.folder.iterdir() if name.name.startswith(".")], "something was left behind"


def gguf_names():
    return {f"blk.{layer}.{tensor}": f"model.layers.{layer}.{module}" for layer in range(2) for module, tensor in TENSORS.items()}


def rotated(updates):
    """As llama.cpp has rows of q and k."""
    return {path: formats.permuted_rows(update, HEADS if path.endswith("q_proj") else KV_HEADS) if path.endswith(("q_proj", "k_proj")) else update
            for path, update in updates.items()}


STRENGTHS = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "alpha float": {"lora_alpha": 12.5},
    "alpha 0": {"lora_alpha": 0},
    "alpha pattern": {"alpha_pattern": {"q_proj": 40, "layers.1.mlp.up_proj": 3}},
    "one alpha 0": {"alpha_pattern": {"o_proj": 0}},
}


def check_dense(case):
    base = case.base()
    for title, config in STRENGTHS.items():
        ranks = {"v_proj": 7, "down_proj": 2} if title == "rslora" else None
        config = {**config, "rank_pattern": ranks or {}}
        source = case.source(dense(ranks=ranks), **config)
        want, _ = formats.read_peft(source)
        gguf, _ = case.convert(source, "gguf", "--base", base)
        got, _ = formats.gguf_updates(gguf, gguf_names())
        assert formats.distance(got, rotated(want)) < 1e-6, title
        mlx, _ = case.convert(source, "mlx", "--base", base)
        assert formats.distance(formats.read_mlx(mlx)[0], want) < 1e-6, title
        for middle in (gguf, mlx):
            back, _ = case.convert(middle, "peft", "--base", base)
            assert formats.distance(formats.read_peft(back)[0], want) < 1e-6, title
    across, _ = case.convert(gguf, "mlx", "--base", base)
    assert formats.distance(formats.read_mlx(across)[0], want) < 1e-6


def check_dtypes(case):
    base = case.base()
    for stored in ("BF16", "F16"):
        source = case.source(dense(), stored)
        want, _ = formats.read_peft(source)
        out, _ = case.convert(source, "gguf", "--base", base, "--dtype", stored.lower())
        assert formats.distance(formats.gguf_updates(out, gguf_names())[0], rotated(want)) == 0
    source = case.source(dense(32), r=32)
    want, _ = formats.read_peft(source)
    out, report = case.convert(source, "gguf", "--base", base, "--dtype", "q8_0")
    assert 0 < report["largest_error"] < 0.02 and report["rounded"]
    # Rows that are no whole blocks are F16, beside others of blocks.
    mixed = case.source({**dense(32), "model.embed_tokens.lora_embedding_A": random.standard_normal((4, 53)),
                         "model.embed_tokens.lora_embedding_B": random.standard_normal((32, 4))}, r=32, rank_pattern={"embed_tokens": 4})
    out, _ = case.convert(mixed, "gguf", "--base", base, "--dtype", "q8_0")
    kinds = {name: kind for name, (kind, _) in formats.read_gguf(out)[0].items()}
    assert set(kinds.values()) == {8, 1} and kinds["token_embd.weight.lora_a"] == 1, kinds
    # A strength that F16 cannot take on B moves to A.
    source = case.source({name: value * (1e4 if "lora_B" in name else 1e-3) for name, value in dense().items()}, "F16",
                         alpha_pattern={"q_proj": 1200})
    out, _ = case.convert(source, "mlx", "--base", base)
    assert formats.distance(formats.read_mlx(out)[0], formats.read_peft(source)[0]) < 2e-3
    huge = {name: np.full_like(value, 6e4) for name, value in dense().items()}
    case.refuse("EX-10", case.source(huge, "F16", alpha_pattern={"q_proj": 12 * 2 ** 20}), "mlx", "--base", base)


def check_embeddings(case):
    path = {"model.embed_tokens.lora_embedding_A": random.standard_normal((4, 53)), "model.embed_tokens.lora_embedding_B": random.standard_normal((32, 4)),
            **factors("lm_head", (32, 53), 4)}
    # save_pretrained writes the base's matrix beside LoRA on an embedding.
    path["model.embed_tokens.base_layer.weight"] = random.standard_normal((53, 32))
    source = case.source(path, target_modules=["embed_tokens", "lm_head"])
    want, _ = formats.read_peft(source)
    free, tied = case.base(), case.base(tie_word_embeddings=True)
    gguf, _ = case.convert(source, "gguf", "--base", free)
    got, _ = formats.gguf_updates(gguf, {"token_embd": "model.embed_tokens", "output": "lm_head"})
    assert formats.distance(got, want) < 1e-6
    mlx, _ = case.convert(source, "mlx", "--base", free)
    assert formats.distance(formats.read_mlx(mlx)[0], want) < 1e-6
    for middle in (gguf, mlx):
        back, _ = case.convert(middle, "peft", "--base", free)
        assert formats.distance(formats.read_peft(back)[0], want) < 1e-6
    for target in ("gguf", "mlx"):
        case.refuse("EX-3", source, target, "--base", tied)


def check_other_tensors(case):
    base = case.base()
    magnitudes = {**dense(), **{f"model.layers.{layer}.{module}.lora_magnitude_vector": np.abs(random.standard_normal(size[1])) + 1
                                for layer in range(2) for module, size in DENSE.items()}}
    dora = case.source(magnitudes, use_dora=True)
    case.refuse("EX-3", dora, "gguf", "--base", base)
    out, report = case.convert(dora, "gguf", "--base", base, "--drop", "dora")
    assert len(report["dropped"]) == 14
    mlx, _ = case.convert(dora, "mlx", "--base", base)
    assert json.loads((mlx / "adapter_config.json").read_text())["fine_tune_type"] == "dora"
    back, _ = case.convert(mlx, "peft", "--base", base)
    assert json.loads((back / "adapter_config.json").read_text())["use_dora"] is True
    _, rest = formats.read_peft(back)
    for name, value in formats.read_peft(dora)[1].items():
        assert np.array_equal(rest[name], value)
    biased = dense()
    biased |= {name.replace("lora_B.weight", "lora_B.bias"): np.ones(len(value)) for name, value in biased.items() if "lora_B" in name}
    saved = {**dense(), "lm_head.weight": random.standard_normal((53, 32))}
    for target in ("gguf", "mlx"):
        case.refuse("EX-3", case.source(saved, modules_to_save=["lm_head"]), target, "--base", base)
        case.refuse("EX-3", case.source(biased, lora_bias=True), target, "--base", base)
    case.refuse("EX-3", case.source(dense(), init_lora_weights="pissa"), "gguf", "--base", base)
    tokens = case.source(dense(), alora_invocation_tokens=[5, 7])
    out, _ = case.convert(tokens, "gguf", "--base", base)
    assert formats.read_gguf(out)[1]["adapter.alora.invocation_tokens"] == [5, 7]
    case.refuse("EX-3", tokens, "mlx", "--base", base)


def expert_names():
    return {f"blk.{layer}.ffn_{part}_exps": [f"model.layers.{layer}.mlp.experts.{i}.{part}_proj" for i in range(EXPERTS)]
            for layer in range(2) for part in ("gate", "up", "down")}


def check_experts(case):
    base = case.base("Qwen3MoeForCausalLM", model_type="qwen3_moe", num_experts=EXPERTS)
    mixtral = case.base("MixtralForCausalLM", model_type="mixtral", num_local_experts=EXPERTS)
    apart = {name: value for layer in range(2) for i in range(EXPERTS) for name, value in expert(layer, i).items()}
    old = {name: value for layer in range(2) for i in range(EXPERTS)
           for name, value in expert(layer, i, names=("w1", "w3", "w2"), block="block_sparse_moe").items()}
    configs = [{}, {"use_rslora": True}, {"alpha_pattern": {"up_proj": 30, "w3": 30}}, {"alpha_pattern": {"down_proj": 5, "w2": 5}}]
    for config in configs:
        for tensors, where in ((apart, base), (old, mixtral)):
            source = case.source(tensors, **config)
            want, _ = formats.read_peft(source)
            joined, _ = case.convert(source, "fused-expert", "--base", where)
            assert formats.distance(formats.read_peft(joined, EXPERTS)[0], want) < 1e-6
            again, _ = case.convert(joined, "per-expert", "--base", where)
            assert formats.distance(formats.read_peft(again)[0], want) < 1e-6
            names = {name.removeprefix("base_model.model.") for name in formats.read_safetensors(again / "adapter_model.safetensors")}
            assert names == set(tensors)
            for origin in (source, joined):
                gguf, _ = case.convert(origin, "gguf", "--base", where)
                assert formats.distance(formats.gguf_updates(gguf, expert_names())[0], want) < 1e-6
                mlx, _ = case.convert(origin, "mlx", "--base", where)
                assert formats.distance(formats.read_mlx(mlx)[0], want) < 1e-6
                assert ("block_sparse_moe.switch_mlp" in (mlx / "adapter_config.json").read_text()) == (where is mixtral)
            back, _ = case.convert(gguf, "peft", "--base", where)
            assert formats.distance(formats.read_peft(back)[0], want) < 1e-6
            # PEFT would lose single experts beside other modules of their names.
            back, _ = case.convert(mlx, "peft", "--base", where)
            assert formats.distance(formats.read_peft(back, EXPERTS)[0], want) < 1e-6
            assert json.loads((back / "adapter_config.json").read_text())["target_parameters"]
    together = case.source(fused(), r=3, target_modules=[], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])
    want, _ = formats.read_peft(together, EXPERTS)
    split, _ = case.convert(together, "per-expert", "--base", base)
    assert formats.distance(formats.read_peft(split)[0], want) == 0
    # gate and up share A: the rank does not grow.
    rejoined, _ = case.convert(split, "fused-expert", "--base", base)
    first, second = (formats.read_safetensors(folder / "adapter_model.safetensors") for folder in (together, rejoined))
    assert first.keys() == second.keys() and all(np.array_equal(first[name][1], second[name][1]) for name in first)
    # Only some experts: the others are zeros.
    some = {**expert(0, 1), **expert(0, 3)}
    gguf, _ = case.convert(case.source(some), "gguf", "--base", base)
    assert formats.read_gguf(gguf)[0]["blk.0.ffn_gate_exps.weight.lora_a"][1].shape == (EXPERTS, 4, 32)
    case.refuse("EX-12", case.source(expert(0, 9)), "gguf", "--base", base)
    case.refuse("EX-12", together, "per-expert", "--base", case.base("Qwen3MoeForCausalLM", num_experts=6, model_type="qwen3_moe"))
    # PEFT takes no dropout on parameters.
    dropped, report = case.convert(case.source(apart, lora_dropout=0.05), "fused-expert", "--base", base)
    assert json.loads((dropped / "adapter_config.json").read_text())["lora_dropout"] == 0 and report["notes"]
    kept, _ = case.convert(case.source(apart, lora_dropout=0.05), "per-expert", "--base", base)
    assert json.loads((kept / "adapter_config.json").read_text())["lora_dropout"] == 0.05
    # What is beside experts in mlx-lm is a parameter for PEFT where that would take its name for theirs.
    deepseek = case.base("DeepseekV3ForCausalLM", model_type="deepseek_v3", n_routed_experts=EXPERTS)
    for where, module, wanted in ((deepseek, "mlp.shared_experts.up_proj", True), (deepseek, "self_attn.o_proj", False),
                                  (case.base("Qwen2MoeForCausalLM", model_type="qwen2_moe"), "mlp.gate", True), (case.base(), "mlp.up_proj", False)):
        made, _ = case.convert(case.source(factors(f"model.layers.0.{module}", (32, 16), 4)), "mlx", "--base", where)
        back, _ = case.convert(made, "peft", "--base", where)
        assert set(formats.read_safetensors(back / "adapter_model.safetensors")) == {f"base_model.model.model.layers.0.{module}.lora_{half}.weight" for half in "AB"}
        parameters = json.loads((back / "adapter_config.json").read_text())["target_parameters"]
        assert parameters == ([f"model.layers.0.{module}.weight"] if wanted else None), (module, parameters)
    # Names of mlx-lm's routers, there and back, of either release of transformers.
    granite = case.base("GraniteMoeForCausalLM", model_type="granitemoe", num_local_experts=EXPERTS)
    for spelled in ("router", "router.layer"):
        made, _ = case.convert(case.source(factors(f"model.layers.0.block_sparse_moe.{spelled}", (32, 4), 4)), "mlx", "--base", granite)
        assert set(formats.read_safetensors(made / "adapters.safetensors")) == {f"model.layers.0.block_sparse_moe.router.layer.lora_{half}" for half in "ab"}


def check_mlx_names(case):
    """Names of mlx-lm's own (its sanitize(), 0.32.2), there and back."""
    deeper = ("model.language_model.layers.0.mlp.up_proj", "language_model.model.layers.0.mlp.up_proj")
    names = [("gpt_neox", "gpt_neox.layers.0.mlp.dense_h_to_4h", "model.h.0.mlp.dense_h_to_4h"), ("gpt_neox", "lm_head", "model.embed_out"),
             ("gptj", "transformer.h.0.mlp.fc_in", "model.h.0.mlp.fc_in"), ("gemma3", *deeper), ("qwen3_vl", *deeper),
             ("mistral3", "lm_head", "language_model.lm_head"), ("qwen3", "model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj")]
    for model_type, hf, mlx in names:
        base = case.base(f"Of{len(mlx)}{model_type}", model_type=model_type, tie_word_embeddings=False)
        source = case.source(factors(hf, (48, 32), 4))
        made, _ = case.convert(source, "mlx", "--base", base)
        assert set(formats.read_safetensors(made / "adapters.safetensors")) == {f"{mlx}.lora_a", f"{mlx}.lora_b"}, (model_type, hf)
        back, _ = case.convert(made, "peft", "--base", base)
        assert set(formats.read_peft(back)[0]) == set(formats.read_peft(source)[0])
    # Experts are in other layers than those of most models, and granite's stay in their old block.
    for model_type, block, container in (("dots1", "mlp", "mlp.experts"), ("gpt_oss", "mlp", "mlp.experts"),
                                         ("granitemoe", "block_sparse_moe", "block_sparse_moe.switch_mlp")):
        base = case.base(f"Experts{model_type}", model_type=model_type, num_local_experts=EXPERTS, num_experts=EXPERTS)
        tensors = {name.replace(".mlp.", f".{block}."): value for name, value in fused().items()}
        source = case.source(tensors, r=3, target_modules=[], target_parameters=["experts.gate_up_proj", "experts.down_proj"])
        made, _ = case.convert(source, "mlx", "--base", base)
        assert f"model.layers.0.{container}.up_proj.lora_a" in formats.read_safetensors(made / "adapters.safetensors"), model_type
        for origin in (made, source):
            back, _ = case.convert(origin, "peft", "--base", base)
            assert f"base_model.model.model.layers.0.{block}.experts.base_layer.lora_A.weight" in formats.read_safetensors(
                back / "adapter_model.safetensors"), model_type
    # mlx-lm divides deepseek's kv_b_proj.
    case.refuse("EX-3", case.source(factors("model.layers.0.self_attn.kv_b_proj", (32, 32), 4)), "mlx", "--base",
                case.base("DeepseekV3ForCausalLM", model_type="deepseek_v3"))
    # Copies of the base beside LoRA on its head are left to the base.
    base = case.base("PhiForCausalLM", model_type="phi")
    copies = {"lm_head.base_layer.weight": np.ones((48, 32), "f4"), "lm_head.base_layer.bias": np.ones(48, "f4")}
    made, report = case.convert(case.source({**factors("lm_head", (48, 32), 4), **copies}), "mlx", "--base", base)
    assert len(report["dropped"]) == 1 and len(report["notes"]) == 2, report


def check_refusals(case):
    base = case.base()
    source = case.source(dense())
    empty = case.folder / "empty"
    empty.mkdir()
    case.refuse("EX-1", empty, "gguf", "--base", base)
    case.refuse("EX-4", source, "gguf")
    case.refuse("EX-9", source, "gguf", "--base", case.base("SomethingForCausalLM"))
    case.convert(source, "gguf", "--base", case.base("SomethingForCausalLM"), "--arch", "llama")
    case.refuse("EX-11", source, "gguf", "--base", base, "--arch", "Qwen3ForCausalLM")
    for options, code in ((("--drop", "module"), 2), (("--config", case.folder / "nothing"), 1)):
        out, done = case.run(source, "gguf", "--base", base, *options)
        assert done.returncode == code and not out.exists(), (options, done.returncode, done.stderr)
    case.refuse("EX-9", source, "gguf", "--base", case.base(num_attention_heads=5, num_key_value_heads=5))
    gguf, _ = case.convert(source, "gguf", "--base", base)
    case.refuse("EX-11", gguf, "peft", "--base", case.base("Qwen3ForCausalLM", model_type="qwen3"))
    case.refuse("EX-4", gguf, "peft")
    mlx, _ = case.convert(source, "mlx", "--base", base)
    strange = case.folder / "strange"
    strange.mkdir()
    tensors = {name: value for name, (_, value) in formats.read_safetensors(mlx / "adapters.safetensors").items()}
    config = json.loads((mlx / "adapter_config.json").read_text())
    (strange / "adapter_config.json").write_text(json.dumps(config))
    formats.write_safetensors(strange / "adapters.safetensors", {**tensors, "model.norm.weight": np.ones(32)})
    case.refuse("EX-5", strange, "peft", "--base", base)
    del tensors["model.layers.0.mlp.up_proj.lora_b"]
    formats.write_safetensors(strange / "adapters.safetensors", tensors)
    case.refuse("EX-8", strange, "peft", "--base", base)
    del config["lora_parameters"]["scale"]
    (strange / "adapter_config.json").write_text(json.dumps(config))
    case.refuse("EX-6", strange, "peft", "--base", base)
    # PEFT's weights and mlx-lm's config in one folder.
    both = case.source(dense())
    (both / "adapter_config.json").write_text((mlx / "adapter_config.json").read_text())
    case.refuse("EX-2", both, "gguf", "--base", base)
    tiny = {name: value * 1e-7 for name, value in dense().items()}
    case.refuse("EX-7", case.source(tiny), "gguf", "--base", base, "--dtype", "f16")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for number, check in enumerate((check_dense, check_dtypes, check_embeddings, check_other_tensors, check_experts, check_mlx_names, check_refusals)):
            below = pathlib.Path(folder) / str(number)
            below.mkdir()
            check(Case(below))
            print(check.__name__, flush=True)


if __name__ == "__main__":
    main()
