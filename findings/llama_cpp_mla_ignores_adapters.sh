#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# @node-llama-cpp/linux-x64 3.22.1 (llama.cpp de3ff815), gguf 0.19.0, numpy 2.4.6, seen 2026-11-30. Also needs npm.
#
# llama.cpp loads a LoRA adapter for any tensor of a model, checks names and shapes, and reports success. In models with latent attention (DeepSeek 2
# and 3, GLM 4.7 Flash and others, general.architecture deepseek2) the graph multiplies with the projections of attention and with the head directly,
# past the function that adds adapters: LoRA on attn_q, attn_q_a, attn_q_b, attn_kv_a_mqa and output does nothing at all, while LoRA on the layers
# beside them (attn_output, ffn_*) acts. Attention is what most adapters of these models are trained on.
#
# Seen: largest change of a logit 0 for attn_q_a, attn_q_b, attn_kv_a_mqa and output, above 0.01 for attn_output and ffn_up.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check gguf==0.19.0 numpy==2.4.6
(cd "$work" && npm install --silent --ignore-scripts --no-save @node-llama-cpp/linux-x64@3.22.1)
WORK=$work "$work/env/bin/python" - <<'PYTHON'
import ctypes
import glob
import os

import gguf
import numpy as np

WORK = os.environ["WORK"]
HIDDEN, INNER, HEADS, VOCABULARY, QUERY, LATENT, NOPE, ROPE, VALUE = 64, 96, 4, 64, 32, 32, 16, 16, 16
random = np.random.default_rng(0)
SHAPES = {"attn_q_a": (QUERY, HIDDEN), "attn_q_b": (HEADS * (NOPE + ROPE), QUERY), "attn_kv_a_mqa": (LATENT + ROPE, HIDDEN),
          "attn_k_b": (HEADS, LATENT, NOPE), "attn_v_b": (HEADS, VALUE, LATENT), "attn_output": (HIDDEN, HEADS * VALUE),
          "ffn_gate": (INNER, HIDDEN), "ffn_up": (INNER, HIDDEN), "ffn_down": (HIDDEN, INNER)}
NORMS = {"attn_norm": HIDDEN, "attn_q_a_norm": QUERY, "attn_kv_a_norm": LATENT, "ffn_norm": HIDDEN}


def made(*shape):
    return (random.standard_normal(shape) * 0.2).astype(np.float32)


def write(path, keys, tensors):
    writer = gguf.GGUFWriter(path, "deepseek2")
    keys(writer)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def base_keys(writer):
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(2)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_key_length(LATENT + ROPE)
    writer.add_value_length(LATENT)
    writer.add_key_length_mla(NOPE + ROPE)
    writer.add_value_length_mla(VALUE)
    writer.add_q_lora_rank(QUERY)
    writer.add_kv_lora_rank(LATENT)
    writer.add_rope_dimension_count(ROPE)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_leading_dense_block_count(2)
    writer.add_expert_count(4)
    writer.add_expert_used_count(2)
    writer.add_expert_shared_count(1)
    writer.add_expert_feed_forward_length(INNER)
    writer.add_expert_weights_scale(1.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("no_vocab")


base = {"token_embd.weight": made(VOCABULARY, HIDDEN), "output.weight": made(VOCABULARY, HIDDEN), "output_norm.weight": np.ones(HIDDEN, np.float32)}
for layer in range(2):
    base |= {f"blk.{layer}.{name}.weight": made(*shape) for name, shape in SHAPES.items()}
    base |= {f"blk.{layer}.{name}.weight": np.ones(size, np.float32) for name, size in NORMS.items()}
write(WORK + "/base.gguf", base_keys, base)


def adapter_keys(writer):
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)


def adapter(name):
    names = ["output"] if name == "output" else [f"blk.{layer}.{name}" for layer in range(2)]
    rows, columns = (VOCABULARY, HIDDEN) if name == "output" else SHAPES[name]
    tensors = {}
    for weight in names:
        tensors |= {f"{weight}.weight.lora_a": made(4, columns), f"{weight}.weight.lora_b": made(rows, 4)}
    write(f"{WORK}/{name}.gguf", adapter_keys, tensors)
    return f"{WORK}/{name}.gguf"


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p), ("pos", ctypes.c_void_p),
                ("n_seq_id", ctypes.c_void_p), ("seq_id", ctypes.c_void_p), ("logits", ctypes.c_void_p)]


class Params(ctypes.Structure):
    """llama_model_params and llama_context_params, which nothing here looks into, with room to spare."""

    _fields_ = [("words", ctypes.c_uint64 * 96)]


(path,) = glob.glob(WORK + "/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libllama.v*.so")
lib = ctypes.CDLL(path)
quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
lib.llama_log_set(quiet, None)
for name, arguments in (("llama_model_load_from_file", [ctypes.c_char_p, Params]), ("llama_init_from_model", [ctypes.c_void_p, Params]),
                        ("llama_adapter_lora_init", [ctypes.c_void_p, ctypes.c_char_p])):
    getattr(lib, name).restype, getattr(lib, name).argtypes = ctypes.c_void_p, arguments
lib.llama_model_default_params.restype = lib.llama_context_default_params.restype = Params
lib.llama_batch_get_one.restype, lib.llama_batch_get_one.argtypes = Batch, [ctypes.c_void_p, ctypes.c_int32]
lib.llama_decode.argtypes = [ctypes.c_void_p, Batch]
lib.llama_set_adapters_lora.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
lib.llama_get_logits_ith.restype, lib.llama_get_logits_ith.argtypes = ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p, ctypes.c_int32]
load = ctypes.CDLL(path.replace("libllama", "libggml")).ggml_backend_load_all_from_path
load.argtypes = [ctypes.c_char_p]
load(os.path.dirname(path).encode())
lib.llama_backend_init()
model = lib.llama_model_load_from_file((WORK + "/base.gguf").encode(), lib.llama_model_default_params())
assert model, "llama.cpp does not load the base"


def logits(adapter):
    context = lib.llama_init_from_model(model, lib.llama_context_default_params())
    if adapter:
        lora = lib.llama_adapter_lora_init(model, adapter.encode())
        assert lora, f"llama.cpp does not load {adapter}"
        assert lib.llama_set_adapters_lora(context, ctypes.byref(ctypes.c_void_p(lora)), 1, ctypes.byref(ctypes.c_float(1))) == 0
    tokens = (ctypes.c_int32 * 8)(*range(3, 11))
    assert lib.llama_decode(context, lib.llama_batch_get_one(tokens, 8)) == 0
    return np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (VOCABULARY,)).copy()


plain = logits(None)
change = {name: float(np.abs(logits(adapter(name)) - plain).max())
          for name in ("attn_q_a", "attn_q_b", "attn_kv_a_mqa", "output", "attn_output", "ffn_up")}
for name, value in change.items():
    print(f"LoRA on {name}: loaded, largest change of a logit {value:.3g}")
if any(change[name] < 0.01 for name in ("attn_output", "ffn_up")):
    raise SystemExit("changed: adapters of other layers do nothing either")
if any(change[name] != 0 for name in ("attn_q_a", "attn_q_b", "attn_kv_a_mqa", "output")):
    raise SystemExit("changed: llama.cpp applies adapters of latent attention now")
PYTHON
