# SPDX-License-Identifier: Apache-2.0
"""gguf_modules.py FERRULE: modules that llama.cpp divides or whose rows it moves, what it does not hold, and bad files.

The orders of rows are written as llama.cpp's converter has them, in reshapes and transpositions (rules EX-3, EX-8, EX-12).
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

import formats

FERRULE = sys.argv[1]
random = np.random.default_rng(11)
HEADS, KEY_VALUE, WIDTH, HIDDEN, RANK = 4, 2, 8, 32, 3
KEYS, VALUES, KEY_WIDTH, VALUE_WIDTH = 2, 4, 8, 4
COMMON = {"hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE, "num_hidden_layers": 2,
          "tie_word_embeddings": False, "linear_num_key_heads": KEYS, "linear_num_value_heads": VALUES,
          "linear_key_head_dim": KEY_WIDTH, "linear_value_head_dim": VALUE_WIDTH}


def rotated(rows, heads):
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def wqkv(b):
    groups = b.reshape(KEY_VALUE, HEADS // KEY_VALUE + 2, WIDTH, -1)
    q, k, v = groups[:, :-2].reshape(-1, b.shape[1]), groups[:, -2].reshape(-1, b.shape[1]), groups[:, -1].reshape(-1, b.shape[1])
    return {"attn_q": rotated(q, HEADS), "attn_k": rotated(k, KEY_VALUE), "attn_v": v}


def pack(b):
    q, k, v = np.split(b, 3)
    return {"attn_q": rotated(q, HEADS), "attn_k": rotated(k, HEADS), "attn_v": v}


def halves(b):
    gate, up = np.split(b, 2)
    return {"ffn_gate_shexp": gate, "ffn_up_shexp": up}


def dense_halves(b):
    gate, up = np.split(b, 2)
    return {"ffn_gate": gate, "ffn_up": up}


def qkvz(b):
    each = VALUES // KEYS * VALUE_WIDTH
    q, k, v, z = np.split(b.reshape(KEYS, 2 * KEY_WIDTH + 2 * each, -1), [KEY_WIDTH, 2 * KEY_WIDTH, 2 * KEY_WIDTH + each], axis=1)
    return {"attn_qkv": np.concatenate([part.reshape(-1, b.shape[1]) for part in (q, k, v)]), "attn_gate": z.reshape(-1, b.shape[1])}


def values_apart(rows, width):
    return rows.reshape(KEYS, VALUES // KEYS, width, -1).swapaxes(0, 1).reshape(rows.shape)


def qkv_apart(b):
    before = 2 * KEYS * KEY_WIDTH
    return {"attn_qkv": np.concatenate([b[:before], values_apart(b[before:], VALUE_WIDTH)])}


# class, fields of the base, module, its rows, tensors of B by name.
DIVIDED = [
    ("InternLM2ForCausalLM", {}, "attention.wqkv", (HEADS + 2 * KEY_VALUE) * WIDTH, wqkv),
    ("BaichuanForCausalLM", {"num_key_value_heads": None}, "self_attn.W_pack", 3 * HIDDEN, pack),
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 4}, "shared_mlp.input_linear", 24, halves),
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 0}, "shared_mlp.input_linear", 24, dense_halves),
    ("GraniteMoeSharedForCausalLM", {"num_local_experts": 4}, "shared_mlp.input_linear", 24, halves),
    ("Qwen3NextForCausalLM", {}, "linear_attn.in_proj_qkvz", 2 * KEYS * KEY_WIDTH + 2 * VALUES * VALUE_WIDTH, qkvz),
    ("Qwen3_5ForCausalLM", {}, "linear_attn.in_proj_qkv", 2 * KEYS * KEY_WIDTH + VALUES * VALUE_WIDTH, qkv_apart),
    ("Qwen3_5ForCausalLM", {}, "linear_attn.in_proj_z", VALUES * VALUE_WIDTH, lambda b: {"attn_gate": values_apart(b, VALUE_WIDTH)}),
    ("Qwen3_5ForCausalLM", {}, "linear_attn.in_proj_a", VALUES, lambda b: {"ssm_alpha": values_apart(b, 1)}),
]


class Case:
    def __init__(self, folder):
        self.folder, self.count = folder, 0

    def new(self, kind):
        self.count += 1
        return self.folder / f"{kind}{self.count}"

    def base(self, class_name, fields):
        path = self.new("base")
        path.mkdir()
        config = {key: value for key, value in {**COMMON, "architectures": [class_name], **fields}.items() if value is not None}
        (path / "config.json").write_text(json.dumps(config))
        return path

    def source(self, tensors, **config):
        path = self.new("source")
        formats.write_peft(path, tensors, r=RANK, **config)
        return path

    def run(self, source, to, *options):
        out = self.new("out")
        done = subprocess.run([FERRULE, "convert", source, "-o", out, "--to", to, "--json", "--durability", "fast", *map(str, options)],
                              capture_output=True, text=True, check=False)
        return out, done

    def convert(self, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 0, done.stderr
        return out, json.loads(done.stdout)

    def refuse(self, rule, source, to, *options):
        out, done = self.run(source, to, *options)
        assert done.returncode == 1 and f"[{rule}]" in done.stderr, (rule, done.returncode, done.stderr)
        assert not out.exists()
        return done.stderr


def factors(path, rows, columns=HIDDEN):
    return {f"{path}.lora_A.weight": random.standard_normal((RANK, columns)).astype("f4"),
            f"{path}.lora_B.weight": random.standard_normal((rows, RANK)).astype("f4")}


# class, fields of the base, what llama.cpp calls the model (GraniteHybridModel of its converter).
CALLED = [
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 4, "layer_types": ["mamba", "attention"]}, "granitehybrid"),
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 4, "layer_types": ["attention", "attention"]}, "granitemoe"),
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 0, "layer_types": ["attention", "attention"]}, "granite"),
    ("GraniteMoeHybridForCausalLM", {"num_local_experts": 0, "layer_types": ["full_attention"] * 2}, "granite"),
]


def check_called(case):
    for class_name, fields, name in CALLED:
        base = case.base(class_name, fields)
        source = case.source(factors("model.layers.1.shared_mlp.output_linear", HIDDEN, 12))
        out, _ = case.convert(source, "gguf", "--base", base)
        tensors, header = formats.read_gguf(out)
        assert header["general.architecture"] == name, (fields, header)
        assert ("blk.1.ffn_down_shexp" in "".join(tensors)) == (fields["num_local_experts"] > 0), sorted(tensors)
        case.convert(out, "peft", "--base", base)


def check_divided(case):
    for class_name, fields, module, rows, parts in DIVIDED:
        base = case.base(class_name, fields)
        path = f"model.layers.1.{module}"
        made = factors(path, rows)
        source = case.source(made)
        out, _ = case.convert(source, "gguf", "--base", base)
        tensors, _ = formats.read_gguf(out)
        want = {f"blk.1.{name}": b for name, b in parts(made[f"{path}.lora_B.weight"]).items()}
        assert {name.rsplit(".weight.", 1)[0] for name in tensors} == set(want), (class_name, sorted(tensors))
        for name, b in want.items():
            assert np.array_equal(tensors[f"{name}.weight.lora_b"][1], b), (class_name, name)
            assert np.array_equal(tensors[f"{name}.weight.lora_a"][1], made[f"{path}.lora_A.weight"]), (class_name, name)
        back, _ = case.convert(out, "peft", "--base", base)
        again = formats.read_safetensors(back / "adapter_model.safetensors")
        for name, value in made.items():
            assert np.array_equal(again[f"base_model.model.{name}"][1], value), (class_name, name)
    # Columns, not rows.
    base = case.base("Qwen3_5ForCausalLM", {})
    path = "model.layers.0.linear_attn.out_proj"
    made = factors(path, HIDDEN, VALUES * VALUE_WIDTH)
    out, _ = case.convert(case.source(made), "gguf", "--base", base)
    tensors, _ = formats.read_gguf(out)
    assert np.array_equal(tensors["blk.0.ssm_out.weight.lora_a"][1], values_apart(made[f"{path}.lora_A.weight"].T, VALUE_WIDTH).T)
    assert np.array_equal(tensors["blk.0.ssm_out.weight.lora_b"][1], made[f"{path}.lora_B.weight"])
    back, _ = case.convert(out, "peft", "--base", base)
    assert formats.distance(formats.read_peft(back)[0], {path: 4.0 * made[f"{path}.lora_B.weight"].astype(float) @ made[f"{path}.lora_A.weight"]}) < 1e-6


def gguf(case, tensors, architecture="internlm2", alpha=6.0, counts=None):
    """A file of F32 tensors: name, extents (the fastest first), values."""
    def text(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    keys = [("general.architecture", architecture), ("general.type", "adapter"), ("adapter.type", "lora")]
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors) if counts is None else counts, len(keys) + 1)
    for name, value in keys:
        out += text(name) + struct.pack("<I", 8) + text(value)
    out += text("adapter.lora.alpha") + struct.pack("<If", 6, alpha)
    data = b""
    for name, extents, values in tensors:
        out += text(name) + struct.pack("<I", len(extents)) + struct.pack(f"<{len(extents)}Q", *extents) + struct.pack("<IQ", 0, len(data))
        data += np.asarray(values, "<f4").tobytes()
        data += b"\0" * (-len(data) % 32)
    path = case.new("file")
    path.write_bytes(out + b"\0" * (-len(out) % 32) + data)
    return path


def check_parts_of_others(case):
    """Parts with an A and a rank of their own, and parts that are not there."""
    base = case.base("InternLM2ForCausalLM", {})
    rows = {"attn_q": HEADS * WIDTH, "attn_k": KEY_VALUE * WIDTH, "attn_v": KEY_VALUE * WIDTH}
    for ranks in ({"attn_q": 3, "attn_k": 3, "attn_v": 3}, {"attn_q": 2, "attn_v": 4}, {"attn_k": 1}):
        pairs = {name: (random.standard_normal((rank, HIDDEN)), random.standard_normal((rows[name], rank))) for name, rank in ranks.items()}
        tensors = []
        for name, (a, b) in pairs.items():
            tensors += [(f"blk.0.{name}.weight.lora_a", a.shape[::-1], a), (f"blk.0.{name}.weight.lora_b", b.shape[::-1], b)]
        out, _ = case.convert(gguf(case, tensors), "peft", "--base", base)
        (update,) = formats.read_peft(out)[0].values()
        for name, part in wqkv(update).items():
            a, b = pairs.get(name, (np.zeros((1, HIDDEN)), np.zeros((rows[name], 1))))
            want = 6.0 / a.shape[0] * b.astype("f4").astype(float) @ a.astype("f4")
            assert np.abs(part - want).max() < 1e-5, (ranks, name)
        again, _ = case.convert(out, "gguf", "--base", base)
        back, _ = case.convert(again, "peft", "--base", base)
        assert formats.distance(formats.read_peft(back)[0], formats.read_peft(out)[0]) < 1e-6


def check_losses(case):
    """What --drop names is left out, and the rest is converted."""
    base = case.base("BertModel", {})
    kept = factors("encoder.layer.0.attention.self.query", HIDDEN)
    source = case.source({**kept, **factors("pooler.dense", HIDDEN)})
    case.refuse("EX-3", source, "gguf", "--base", base)
    out, report = case.convert(source, "gguf", "--base", base, "--drop", "modules")
    assert len(report["dropped"]) == 1 and report["sites"] == 1, report
    assert set(formats.read_gguf(out)[0]) == {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b"}
    case.refuse("EX-3", case.source(factors("pooler.dense", HIDDEN)), "gguf", "--base", base, "--drop", "modules")
    # llama.cpp divides kv_b_proj; mlx-lm divides it, too, and has no layer for the router.
    base = case.base("DeepseekV3ForCausalLM", {"model_type": "deepseek_v3", "n_routed_experts": 4})
    kept = factors("model.layers.1.self_attn.o_proj", HIDDEN)
    divided, router = factors("model.layers.1.self_attn.kv_b_proj", 64), factors("model.layers.1.mlp.gate", 4)
    for target, lost in (("gguf", divided), ("mlx", divided), ("mlx", router)):
        source = case.source({**kept, **lost})
        case.refuse("EX-3", source, target, "--base", base)
        out, report = case.convert(source, target, "--base", base, "--drop", "modules")
        assert report["sites"] == 1 and len(report["dropped"]) == 1, report
    assert set(formats.read_safetensors(out / "adapters.safetensors")) == {f"model.layers.1.self_attn.o_proj.lora_{half}" for half in "ab"}
    # Where llama.cpp computes without adapters, the report says so.
    _, report = case.convert(case.source(factors("model.layers.1.self_attn.q_a_proj", HIDDEN)), "gguf", "--base", base)
    assert any("without it" in note for note in report["notes"]), report
    tied = case.base("LlamaForCausalLM", {"tie_word_embeddings": True})
    source = case.source({**factors("lm_head", 64), **factors("model.layers.0.mlp.up_proj", 64)})
    for target in ("gguf", "mlx"):
        case.refuse("EX-3", source, target, "--base", tied)
        _, report = case.convert(source, target, "--base", tied, "--drop", "embeddings")
        assert report["sites"] == 1, report
    # Experts that have no place go together.
    base = case.base("LlamaForCausalLM", {})
    experts = {name: value for i in range(3) for name, value in factors(f"model.layers.0.mlp.experts.{i}.up_proj", 16).items()}
    _, report = case.convert(case.source({**experts, **factors("model.layers.0.mlp.up_proj", 64)}), "gguf", "--base", base, "--drop", "modules")
    assert report["sites"] == 1, report


def check_bad_files(case):
    base = case.base("InternLM2ForCausalLM", {})
    a, b = random.standard_normal((2, HIDDEN)), random.standard_normal((HEADS * WIDTH, 2))

    def q(a_extents, a_values, b_extents, b_values, name="attn_q"):
        return gguf(case, [(f"blk.0.{name}.weight.lora_a", a_extents, a_values), (f"blk.0.{name}.weight.lora_b", b_extents, b_values)])

    for made in (q((HIDDEN, 2), a, (2, 6), b[:6]), q((HIDDEN, 3), random.standard_normal((3, HIDDEN)), (2, HEADS * WIDTH), b),
                 q((HIDDEN, 2, 1), a, (2, HEADS * WIDTH, 1), b), q((HIDDEN, 2), a, (2, 0), [])):
        done = case.run(made, "peft", "--base", base)[1]
        assert done.returncode == 1 and "[EX-" in done.stderr, done.stderr
    # What the dtype cannot hold, and what was not finite before, are no proof; copies that are the same are.
    llama = case.base("LlamaForCausalLM", {})
    for value in (1e30, np.inf, np.nan):
        broken = factors("model.layers.0.mlp.up_proj", 64)
        broken["model.layers.0.mlp.up_proj.lora_A.weight"][1, 3] = value
        for dtype in ("f16", "q8_0"):
            said = case.refuse("EX-7", case.source(broken), "gguf", "--base", llama, "--dtype", dtype)
            assert "not finite" in said and "mlp.up_proj" in said, said
        for target in ("gguf", "mlx"):
            case.convert(case.source(broken, lora_alpha=RANK), target, "--base", llama)
    # No elements, and more experts than anything has.
    many = [(f"blk.0.ffn_up_exps.weight.lora_{half}", extents, []) for half, extents in (("a", (0, 2, 1 << 40)), ("b", (2, 0, 1 << 40)))]
    case.refuse("EX-12", gguf(case, many, "qwen3moe"), "peft", "--arch", "Qwen3MoeForCausalLM")
    # Heads of a base that no tensor has.
    odd = case.base("Qwen3NextForCausalLM", {"linear_num_value_heads": 1 << 19, "linear_value_head_dim": 1 << 19})
    parts = [("blk.0.attn_gate.weight.lora_a", (HIDDEN, 2), a), ("blk.0.attn_gate.weight.lora_b", (2, 16), b[:16])]
    done = case.run(gguf(case, parts, "qwen3next"), "peft", "--base", odd)[1]
    assert done.returncode == 1 and "[EX-" in done.stderr, done.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        for number, check in enumerate((check_divided, check_called, check_parts_of_others, check_losses, check_bad_files)):
            below = pathlib.Path(folder) / str(number)
            below.mkdir()
            check(Case(below))
            print(check.__name__, flush=True)


if __name__ == "__main__":
    main()
