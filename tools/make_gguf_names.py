#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/exchange/dialects/gguf/names_data.inc: which module of a model is which tensor of a GGUF file.

    make_gguf_names.py            writes the file
    make_gguf_names.py --check    exits 1 and prints what differs if it is not current

Needs transformers, torch and gguf (versions in tests/exchange/requirements.txt). Every class below is built on
torch's meta device; each module that has a matrix is looked up in gguf's own table of names. CLASSES is ours: the
architecture that llama.cpp gives a class, and what it does with rows of fused or rotated projections.
"""

import difflib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "src/exchange/dialects/gguf/names_data.inc"

# class: (architecture, change of rows). "permute": rotary pairs of q and k are put next to each other; "heads": q, k
# and v of each head become all q, all k, all v; "groups": the same with several q for one k and v.
CLASSES = {
    "LlamaForCausalLM": ("llama", "permute"),
    "MistralForCausalLM": ("llama", "permute"),
    "MixtralForCausalLM": ("llama", "permute"),
    "ArceeForCausalLM": ("arcee", "permute"),
    "SmolLM3ForCausalLM": ("smollm3", "permute"),
    "GraniteForCausalLM": ("granite", "permute"),
    "OlmoForCausalLM": ("olmo", "permute"),
    "GraniteMoeForCausalLM": ("granitemoe", "permute"),
    "GraniteMoeSharedForCausalLM": ("granitemoe", "permute"),
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
}
# llama.cpp has these classes under other names.
ALSO = {
    "LlamaForCausalLM": ["LLaMAForCausalLM", "IQuestCoderForCausalLM"],
    "PhimoeForCausalLM": ["PhiMoEForCausalLM"],
    "MptForCausalLM": ["MPTForCausalLM"],
    "FalconForCausalLM": ["RWForCausalLM"],
    "StableLmForCausalLM": ["StableLMEpochForCausalLM"],
    "OlmoForCausalLM": ["OLMoForCausalLM"],
}
EXPERTS = {"gate": "ffn_gate_exps", "up": "ffn_up_exps", "down": "ffn_down_exps"}


def small(config):
    for part in (config, getattr(config, "text_config", None)):
        if part is None:
            continue
        for name, value in (("num_hidden_layers", 2), ("n_routed_experts", 4), ("num_experts", 4), ("num_local_experts", 4),
                            ("n_layer", 2), ("n_layers", 2), ("num_layers", 2), ("num_decoder_layers", 2), ("first_k_dense_replace", 1), ("layer_types", None), ("n_group", 1),
                            ("topk_group", 1), ("num_experts_per_tok", 2), ("mlp_layer_types", None)):
            if hasattr(part, name):
                try:
                    if name == "layer_types":
                        value = list(getattr(part, name) or [])[:2] or None
                    setattr(part, name, value)
                except Exception:
                    pass
        if getattr(part, "head_dim", 1) is None and "HunYuan" in type(part).__name__:
            part.head_dim = 64
        if getattr(part, "num_key_value_heads", 1) is None:
            part.num_key_value_heads = part.num_attention_heads
    return config


def modules_of(name):
    """Paths of modules that own a matrix; experts as EXPERTS."""
    import torch
    import transformers

    cls = getattr(transformers, name)
    config = small(cls.config_class())
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
    for head in ("transformer.", "bert.", "roberta."):
        if plain.startswith(head):
            yield plain[len(head):]


def rows_of(name, arch):
    import gguf

    which = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    names = gguf.get_tensor_name_map(which, 2)
    rows = set()
    for path in modules_of(name):
        if re.search(r"visual|vision|audio|multi_modal", path):
            continue
        expert = re.search(r"\.experts\.%\.(gate|up|down)_proj$", path)
        if expert:
            layer = re.search(r"\.(\d+)\.", path).group(1)
            found = f"blk.{layer}.{EXPERTS[expert.group(1)]}"
        else:
            found = next((hit for c in candidates(path) if (hit := names.get_name(c)) is not None), None)
        if found is None:
            print(f"{name}: no tensor for {path}", file=sys.stderr)
            continue
        rows.add((re.sub(r"\.\d+\.", ".#.", path, count=1), re.sub(r"\bblk\.\d+\.", "blk.#.", found)))
    return tuple(sorted(rows))


def text():
    tables, classes = {}, []
    for name, entry in CLASSES.items():
        if entry is None:
            continue
        arch, change = entry
        try:
            rows = rows_of(name, arch)
        except Exception as error:
            print(f"{name}: left out, for transformers or gguf here cannot make it: {error!r}", file=sys.stderr)
            continue
        if not rows:
            continue
        number = tables.setdefault(rows, len(tables))
        for spelled in [name, *ALSO.get(name, [])]:
            classes.append((spelled, arch, change, number))
    lines = ["// SPDX-License-Identifier: Apache-2.0", "// Made by tools/make_gguf_names.py.", ""]
    for rows, number in tables.items():
        lines.append(f"constexpr Name kNames{number}[] = {{")
        lines += [f'    {{"{path}", "{tensor}"}},' for path, tensor in rows]
        lines.append("};")
    lines.append("constexpr Architecture kArchitectures[] = {")
    for spelled, arch, change, number in sorted(classes):
        lines.append(f'    {{"{spelled}", "{arch}", RowChange::k{change.capitalize()}, kNames{number}}},')
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
