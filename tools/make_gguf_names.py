#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/exchange/dialects/gguf/names_data.inc: which module of a model is which tensor of a GGUF file.

    make_gguf_names.py            writes the file
    make_gguf_names.py --check    exits 1 and prints what differs if it is not current

Needs transformers, torch and gguf (versions in tests/exchange/requirements.txt). Every class below is built on
torch's meta device; each module that has a matrix is looked up in gguf's own table of names. CLASSES, REMOTE and RULES
are ours: the architecture that llama.cpp gives a class, and what it does with rows of fused or rotated projections.
"""

import difflib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "src/exchange/dialects/gguf/names_data.inc"

# class: (architecture, rule of rows). See RULES.
CLASSES = {
    "LlamaForCausalLM": ("llama", "permute"),
    "MistralForCausalLM": ("llama", "permute"),
    "MixtralForCausalLM": ("llama", "permute"),
    "ArceeForCausalLM": ("arcee", "permute"),
    "SmolLM3ForCausalLM": ("smollm3", "permute"),
    "GraniteForCausalLM": ("granite", "permute"),
    "OlmoForCausalLM": ("olmo", "permute"),
    "GraniteMoeForCausalLM": ("granitemoe", "granite"),
    "GraniteMoeSharedForCausalLM": ("granitemoe", "granite"),
    "HunYuanDenseV1ForCausalLM": ("hunyuan-dense", "none"),
    "Llama4ForCausalLM": ("llama4", "none"),
    "ApertusForCausalLM": ("apertus", "none"),
    "Olmo2ForCausalLM": ("olmo2", "none"),
    "Olmo3ForCausalLM": ("olmo2", "none"),
    "OlmoeForCausalLM": ("olmoe", "none"),
    "Qwen2ForCausalLM": ("qwen2", "none"),
    "Qwen2MoeForCausalLM": ("qwen2moe", "none"),
    "Qwen3ForCausalLM": ("qwen3", "none"),
    "Qwen3MoeForCausalLM": ("qwen3moe", "none"),
    "Qwen2VLForConditionalGeneration": ("qwen2vl", "none"),
    "Qwen2_5_VLForConditionalGeneration": ("qwen2vl", "none"),
    "Qwen3VLForConditionalGeneration": ("qwen3vl", "none"),
    "GemmaForCausalLM": ("gemma", "none"),
    "Gemma2ForCausalLM": ("gemma2", "none"),
    "Gemma3ForCausalLM": ("gemma3", "none"),
    "Gemma3ForConditionalGeneration": ("gemma3", "none"),
    "PhiForCausalLM": ("phi2", "none"),
    "Phi3ForCausalLM": ("phi3", "none"),
    "PhimoeForCausalLM": ("phimoe", "none"),
    "CohereForCausalLM": ("command-r", "none"),
    "Cohere2ForCausalLM": ("cohere2", "none"),
    "Starcoder2ForCausalLM": ("starcoder2", "none"),
    "GPTBigCodeForCausalLM": ("starcoder", "none"),
    "StableLmForCausalLM": ("stablelm", "none"),
    "NemotronForCausalLM": ("nemotron", "none"),
    "GlmForCausalLM": ("chatglm", "none"),
    "Glm4ForCausalLM": ("glm4", "none"),
    "Glm4MoeForCausalLM": ("glm4moe", "none"),
    "GptOssForCausalLM": ("gpt-oss", "none"),
    "GPT2LMHeadModel": ("gpt2", "none"),
    "MptForCausalLM": ("mpt", "none"),
    "BloomForCausalLM": ("bloom", "heads"),
    "GPTNeoXForCausalLM": ("gptneox", "heads"),
    "FalconForCausalLM": ("falcon", "groups"),
    "DeepseekV2ForCausalLM": ("deepseek2", "none"),
    "DeepseekV3ForCausalLM": ("deepseek2", "none"),
    "Ernie4_5ForCausalLM": ("ernie4_5", "none"),
    "Exaone4ForCausalLM": ("exaone4", "none"),
    "SeedOssForCausalLM": ("seed_oss", "none"),
    "BertModel": ("bert", "none"),
    "BertForMaskedLM": ("bert", "none"),
    "RobertaModel": ("bert", "none"),
    "XLMRobertaModel": ("bert", "none"),
    "MambaForCausalLM": ("mamba", "none"),
    "T5ForConditionalGeneration": ("t5", "none"),
    "Exaone4_5_ForConditionalGeneration": ("exaone4", "none"),
    "Lfm2ForCausalLM": ("lfm2", "none"),
    "JambaForCausalLM": ("jamba", "none"),
    "Ernie4_5_MoeForCausalLM": ("ernie4_5-moe", "none"),
    "MiniMaxM2ForCausalLM": ("minimax-m2", "none"),
    "Qwen3VLMoeForConditionalGeneration": ("qwen3vlmoe", "none"),
    "Mistral3ForConditionalGeneration": ("mistral3", "permute"),
    "LlavaForConditionalGeneration": ("llama", "permute"),
    "Ministral3ForCausalLM": ("mistral3", "permute"),
    "AfmoeForCausalLM": ("afmoe", "none"),
    "BambaForCausalLM": ("granitehybrid", "granite"),
    "BertForSequenceClassification": ("bert", "none"),
    "BitNetForCausalLM": ("bitnet", "none"),
    "BloomModel": ("bloom", "heads"),
    "CamembertModel": ("bert", "none"),
    "DistilBertForMaskedLM": ("bert", "none"),
    "DistilBertModel": ("bert", "none"),
    "Dots1ForCausalLM": ("dots1", "none"),
    "EuroBertModel": ("eurobert", "none"),
    "ExaoneMoeForCausalLM": ("exaone-moe", "none"),
    "FalconMambaForCausalLM": ("mamba", "none"),
    "Gemma3TextModel": ("gemma-embedding", "none"),
    "Gemma3nForCausalLM": ("gemma3n", "none"),
    "Gemma4ForCausalLM": ("gemma4", "none"),
    "Gemma4ForConditionalGeneration": ("gemma4", "none"),
    "Glm4MoeLiteForCausalLM": ("deepseek2", "none"),
    "Glm4vForConditionalGeneration": ("glm4", "none"),
    "Glm4vMoeForConditionalGeneration": ("glm4moe", "none"),
    "GraniteMoeHybridForCausalLM": ("granitehybrid", "granite"),
    "HunYuanMoEV1ForCausalLM": ("hunyuan-moe", "none"),
    "Jais2ForCausalLM": ("jais2", "none"),
    "Lfm2Model": ("lfm2", "none"),
    "Lfm2MoeForCausalLM": ("lfm2moe", "none"),
    "Llama4ForConditionalGeneration": ("llama4", "none"),
    "LlamaModel": ("llama", "permute"),
    "Mamba2ForCausalLM": ("mamba2", "none"),
    "MiniCPM3ForCausalLM": ("minicpm3", "none"),
    "ModernBertForMaskedLM": ("modern-bert", "none"),
    "ModernBertModel": ("modern-bert", "none"),
    "MT5ForConditionalGeneration": ("t5", "none"),
    "NemotronHForCausalLM": ("nemotron_h_moe", "nemotron"),
    "NomicBertModel": ("bert", "none"),
    "PaddleOCRVLForConditionalGeneration": ("paddleocr", "none"),
    "Qwen2AudioForConditionalGeneration": ("qwen2", "none"),
    "Qwen2Model": ("qwen2", "none"),
    "Qwen2VLModel": ("qwen2vl", "none"),
    "Qwen3Model": ("qwen3", "none"),
    "Qwen3NextForCausalLM": ("qwen3next", "qkvz"),
    "Qwen3_5ForCausalLM": ("qwen35", "value heads"),
    "Qwen3_5ForConditionalGeneration": ("qwen35", "value heads"),
    "Qwen3_5MoeForCausalLM": ("qwen35moe", "value heads"),
    "Qwen3_5MoeForConditionalGeneration": ("qwen35moe", "value heads"),
    "RobertaForSequenceClassification": ("bert", "none"),
    "SolarOpenForCausalLM": ("glm4moe", "none"),
    "T5EncoderModel": ("t5encoder", "none"),
    "UMT5ForConditionalGeneration": ("t5", "none"),
    "UMT5Model": ("t5", "none"),
    "VoxtralForConditionalGeneration": ("llama", "permute"),
    "XLMRobertaForSequenceClassification": ("bert", "none"),
    "YoutuForCausalLM": ("deepseek2", "none"),
}
LAYER = "model.layers.0."
LLAMA = ["model.embed_tokens", "lm_head", *(LAYER + name for name in (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"))]
# Classes whose code is on the Hub and not in transformers, with their modules.
REMOTE = {
    "BaichuanForCausalLM": ("baichuan", "pack", ["model.embed_tokens", "lm_head", *(LAYER + name for name in (
        "self_attn.W_pack", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"))]),
    "ChatGLMModel": ("chatglm", "none", ["transformer.embedding.word_embeddings", "transformer.output_layer", *(
        "transformer.encoder.layers.0." + name for name in ("self_attention.query_key_value", "self_attention.dense",
                                                            "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"))]),
    "DeepseekForCausalLM": ("deepseek", "permute", [*LLAMA, LAYER + "mlp.gate", *(
        f"{LAYER}mlp.{block}.{part}_proj" for block in ("shared_experts", "experts.%") for part in ("gate", "up", "down"))]),
    "ExaoneForCausalLM": ("exaone", "none", ["transformer.wte", "lm_head", *("transformer.h.0." + name for name in (
        "attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj", "attn.attention.out_proj", "mlp.c_fc_0",
        "mlp.c_fc_1", "mlp.c_proj"))]),
    "InternLM2ForCausalLM": ("internlm2", "wqkv", ["model.tok_embeddings", "output", *(LAYER + name for name in (
        "attention.wqkv", "attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3"))]),
    "InternLM3ForCausalLM": ("llama", "permute", LLAMA),
    "MiniCPMForCausalLM": ("minicpm", "permute", LLAMA),
    "OrionForCausalLM": ("orion", "none", LLAMA),
    "QWenLMHeadModel": ("qwen", "none", ["transformer.wte", "lm_head", *("transformer.h.0." + name for name in (
        "attn.c_attn", "attn.c_proj", "mlp.w1", "mlp.w2", "mlp.c_proj"))]),
}
# What llama.cpp does with rows: module, tensors and how their rows are made (Rows in architecture.hpp).
ROTATED = {"self_attn.q_proj": [(None, "Query")], "self_attn.k_proj": [(None, "Key")]}
RULES = {
    "none": {},
    "permute": ROTATED,
    "nemotron": {"mixer.q_proj": [(None, "Query")], "mixer.k_proj": [(None, "Key")]},
    "heads": {"query_key_value": [(None, "Heads")]},
    "groups": {"query_key_value": [(None, "Groups")]},
    "granite": {**ROTATED, "shared_mlp.input_linear": [("ffn_gate_shexp", "FirstHalf"), ("ffn_up_shexp", "SecondHalf")],
                "shared_mlp.output_linear": [("ffn_down_shexp", "Same")]},
    "wqkv": {"attention.wqkv": [("attn_q", "GroupedQuery"), ("attn_k", "GroupedKey"), ("attn_v", "GroupedValue")]},
    "pack": {"self_attn.W_pack": [("attn_q", "PackedQuery"), ("attn_k", "PackedKey"), ("attn_v", "PackedValue")]},
    "qkvz": {"linear_attn.in_proj_qkvz": [("attn_qkv", "QkvOfQkvz"), ("attn_gate", "ZOfQkvz")]},
    "value heads": {"linear_attn.in_proj_qkv": [(None, "QkvOfValueHeads")], "linear_attn.in_proj_z": [(None, "ValueHeads")],
                    "linear_attn.in_proj_a": [(None, "ValueHeads")], "linear_attn.in_proj_b": [(None, "ValueHeads")],
                    "linear_attn.out_proj": [(None, "ValueHeadColumns")]},
}
# Modules that other configs of a class have.
VARIANTS = {
    **dict.fromkeys(("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM"), [{"shared_intermediate_size": 64}]),
    "GraniteMoeHybridForCausalLM": [{"layer_types": ["mamba", "attention"]}],
    "DeepseekV2ForCausalLM": [{"q_lora_rank": None}],
    "DeepseekV3ForCausalLM": [{"q_lora_rank": None}],
    "Glm4MoeLiteForCausalLM": [{"q_lora_rank": None}],
    "YoutuForCausalLM": [{"q_lora_rank": None}],
    "Llama4ForCausalLM": [{"moe_layers": []}, {"moe_layers": [0, 1]}],
    "Llama4ForConditionalGeneration": [{"moe_layers": []}, {"moe_layers": [0, 1]}],
    "Lfm2MoeForCausalLM": [{"num_dense_layers": 0}, {"num_dense_layers": 2}],
    "JambaForCausalLM": [{"attn_layer_period": 1, "attn_layer_offset": 0}, {"expert_layer_period": 1, "expert_layer_offset": 0}],
    "BambaForCausalLM": [{"attn_layer_indices": [0, 1]}],
}
# What the config of a class with few layers needs.
NEEDS = {
    "Dots1ForCausalLM": {"n_shared_experts": 1, "n_routed_experts": 4},
    "Gemma3nForCausalLM": {"num_kv_shared_layers": 0},
    **dict.fromkeys(("Lfm2ForCausalLM", "Lfm2Model", "Lfm2MoeForCausalLM"), {"layer_types": ["conv", "full_attention"]}),
}
# Tensors that llama.cpp has only in files of before it divided them.
DIVIDED = {"deepseek2": "attn_kv_b"}
# What gguf's table does not have, and what a module was called in transformers 4.
MORE = {
    "GraniteMoeForCausalLM": {"model.layers.#.block_sparse_moe.router": "blk.#.ffn_gate_inp"},
    "GraniteMoeSharedForCausalLM": {"model.layers.#.block_sparse_moe.router": "blk.#.ffn_gate_inp"},
    "GraniteMoeHybridForCausalLM": {"model.layers.#.block_sparse_moe.router": "blk.#.ffn_gate_inp"},
}
OLD = {
    "GPTNeoXForCausalLM": {"embed_out": "output"},
    "PhimoeForCausalLM": {"model.layers.#.mlp.gate": "blk.#.ffn_gate_inp"},
    **dict.fromkeys(("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", "GraniteMoeHybridForCausalLM"),
                    {"model.layers.#.block_sparse_moe.router.layer": "blk.#.ffn_gate_inp"}),
}
# llama.cpp has these classes under other names.
ALSO = {
    "LlamaForCausalLM": ["LLaMAForCausalLM", "IQuestCoderForCausalLM"],
    "PhimoeForCausalLM": ["PhiMoEForCausalLM"],
    "MptForCausalLM": ["MPTForCausalLM"],
    "FalconForCausalLM": ["RWForCausalLM"],
    "StableLmForCausalLM": ["StableLMEpochForCausalLM"],
    "OlmoForCausalLM": ["OLMoForCausalLM"],
    "BaichuanForCausalLM": ["BaiChuanForCausalLM"],
    "ChatGLMModel": ["ChatGLMForConditionalGeneration"],
    "ExaoneMoeForCausalLM": ["ExaoneMoEForCausalLM"],
    "Ernie4_5ForCausalLM": ["Ernie4_5_ForCausalLM"],
    "Lfm2ForCausalLM": ["LFM2ForCausalLM"],
    "MambaForCausalLM": ["MambaLMHeadModel"],
    "BitNetForCausalLM": ["BitnetForCausalLM"],
    "T5ForConditionalGeneration": ["T5WithLMHeadModel"],
}
EXPERTS = {"gate": "ffn_gate_exps", "up": "ffn_up_exps", "down": "ffn_down_exps"}


def small(config, change=None):
    for part in (config, getattr(config, "text_config", None)):
        if part is None:
            continue
        for name, value in (("num_hidden_layers", 2), ("n_routed_experts", 4), ("num_experts", 4), ("num_local_experts", 4),
                            ("n_layer", 2), ("n_layers", 2), ("num_layers", 2), ("num_decoder_layers", 2), ("first_k_dense_replace", 1),
                            ("layer_types", None), ("layers_block_type", None), ("n_group", 1), ("topk_group", 1),
                            ("num_experts_per_tok", 2), ("mlp_layer_types", None), *(change or {}).items()):
            if hasattr(part, name):
                try:
                    if value is None and name.endswith(("types", "type")):
                        # One layer of each kind, and two at least.
                        kinds = list(dict.fromkeys(getattr(part, name) or []))
                        value = (kinds * 2)[:max(2, len(kinds))] or None
                        if value and len(value) > 2:
                            part.num_hidden_layers = len(value)
                    setattr(part, name, value)
                except Exception:
                    pass
        if "HunYuan" in type(part).__name__ and getattr(part, "head_dim", 1) is None:
            part.head_dim = 64
        if getattr(part, "num_key_value_heads", 1) is None:
            part.num_key_value_heads = part.num_attention_heads
    return config


def modules_of(name):
    """Paths of modules that own a matrix; experts as EXPERTS."""
    if name in REMOTE:
        return REMOTE[name][2]
    out = []
    for change in [{}, *VARIANTS.get(name, [])]:
        out += [path for path in modules_with(name, {**NEEDS.get(name, {}), **change}) if path not in out]
    return out


def modules_with(name, change):
    import torch
    import transformers

    cls = getattr(transformers, name)
    config = small(cls.config_class(), change)
    with torch.device("meta"):
        model = cls(config)
    out = []
    for path, module in model.named_modules():
        if path.endswith(".experts") and any(p.dim() == 3 for p in module._parameters.values() if p is not None):
            out += [f"{path}.%.{part}_proj" for part in EXPERTS]
            continue
        if re.search(r"\.experts\.\d+\.", path):
            continue
        weight = module._parameters.get("weight")
        if weight is not None and weight.dim() == 2:
            out.append(path)
    return out


def candidates(path):
    """How gguf's table may spell a path: as checkpoints did."""
    plain = path.replace("language_model.", "", 1)
    yield from (path, plain)
    yield plain.replace("mlp.gate", "block_sparse_moe.gate")
    for head in ("transformer.", "bert.", "roberta.", "distilbert.", "model."):
        if plain.startswith(head):
            yield plain[len(head):]
    yield "model." + plain
    yield plain.replace("model.", "backbone.", 1)


def rows_of(name, arch, rule):
    """(module, tensor, rows), old names of modules last."""
    import gguf

    which = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    names = gguf.get_tensor_name_map(which, 8)
    rows = set()
    for path in modules_of(name):
        if re.search(r"visual|vision|audio|multi_modal", path):
            continue
        layer = re.search(r"\.(\d+)\.", path)
        expert = re.search(r"\.experts\.%\.(gate|up|down)_proj$", path)
        pattern = re.sub(r"\.\d+\.", ".#.", path, count=1)
        if pattern in MORE.get(name, {}):
            continue
        if expert:
            found = f"blk.{layer.group(1)}.{EXPERTS[expert.group(1)]}"
        else:
            found = next((hit for c in candidates(path) if (hit := names.get_name(c)) is not None), None)
        parts = next((parts for module, parts in RULES[rule].items() if path.endswith("." + module)), [(None, "Same")])
        if found is None and parts[0][0] is None:
            print(f"{name}: no tensor for {path}", file=sys.stderr)
            continue
        if found is not None and found.endswith(DIVIDED.get(arch, "?")):
            continue
        for own, kind in parts:
            tensor = re.sub(r"\bblk\.\d+\.", "blk.#.", found) if own is None else f"blk.#.{own}"
            rows.add((pattern, tensor, kind))
    rows |= {(path, tensor, "Same") for path, tensor in MORE.get(name, {}).items()}
    return tuple(sorted(rows)) + tuple((path, tensor, "Same") for path, tensor in OLD.get(name, {}).items())


def dense(rows):
    """granite's models without experts, whose shared layers are the only ones."""
    return tuple((path, tensor.replace("_shexp", ""), kind) for path, tensor, kind in rows if "_exps" not in tensor and "gate_inp" not in tensor)


def text():
    tables, classes = {}, []
    every = {**CLASSES, **{name: entry[:2] for name, entry in REMOTE.items()}}
    for name, (arch, rule) in every.items():
        try:
            rows = rows_of(name, arch, rule)
        except Exception as error:
            print(f"{name}: left out, for transformers or gguf here cannot make it: {error!r}", file=sys.stderr)
            continue
        if not rows:
            continue
        number = tables.setdefault(rows, len(tables))
        for spelled in [name, *ALSO.get(name, [])]:
            classes.append((spelled, arch, number))
        if rule == "granite":
            without = tables.setdefault(dense(rows), len(tables))
            classes.append((name + "/dense", arch, without))
            if arch == "granitehybrid":
                classes += [(name + "/attention", "granitemoe", number), (name + "/attention/dense", "granite", without)]
        if rule == "nemotron":
            classes.append((name + "/dense", "nemotron_h", number))
    lines = ["// SPDX-License-Identifier: Apache-2.0", "// Made by tools/make_gguf_names.py.", ""]
    for rows, number in tables.items():
        lines.append(f"constexpr Name kNames{number}[] = {{")
        lines += [f'    {{"{path}", "{tensor}"' + ("" if kind == "Same" else f", Rows::k{kind}") + "}," for path, tensor, kind in rows]
        lines.append("};")
    lines.append("constexpr Architecture kArchitectures[] = {")
    for spelled, arch, number in sorted(classes):
        lines.append(f'    {{"{spelled}", "{arch}", kNames{number}}},')
    lines.append("};")
    return "\n".join(lines) + "\n"


def main():
    made = text()
    if "--check" in sys.argv:
        old = OUT.read_text(encoding="utf-8")
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), made.splitlines(True), "checked in", "made"))
        return int(old != made)
    OUT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
