# SPDX-License-Identifier: Apache-2.0
"""llama_cpp_logits.py FERRULE: llama.cpp itself, with our GGUF adapter on a small base, has the logits of PEFT.

The library is the one that the npm package node-llama-cpp ships; the base is written with the gguf package in F32. Both are
installed into a folder of their own, on top of the environment that runs this. Needs npm.
"""

import ctypes
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

FERRULE = os.path.abspath(sys.argv[1])
HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "@node-llama-cpp/linux-x64@3.22.1"
TOKENS = list(range(3, 13))


def inside(folder):
    """Runs this again in the environment with the programs."""
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env/bin/python"
    site = next((folder / "env/lib").glob("python*/site-packages"))
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    gguf = next(line for line in (HERE / "requirements.txt").read_text().split() if line.startswith("gguf=="))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", gguf], check=True)
    (folder / "npm").mkdir()
    subprocess.run(["npm", "install", "--silent", "--ignore-scripts", "--no-save", PACKAGE], cwd=folder / "npm", check=True)
    (library,) = (folder / "npm").glob("node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libllama.*.so")
    return subprocess.run([python, __file__, FERRULE, library, folder], check=False).returncode


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


class ModelParams(ctypes.Structure):
    """llama_model_params; nothing in it is looked at, and more room than it takes does no harm."""

    _fields_ = [("words", ctypes.c_uint64 * 64)]


class ContextParams(ctypes.Structure):
    """llama_context_params of node-llama-cpp 3.22.1 as far as it is set here, with room to spare."""

    _fields_ = [("head", ctypes.c_int32 * 13), ("flash_attn_type", ctypes.c_int32), ("rope", ctypes.c_int32 * 8),
                ("cb_eval", ctypes.c_void_p * 2), ("type_k", ctypes.c_int32), ("type_v", ctypes.c_int32),
                ("rest", ctypes.c_uint64 * 64)]


class Llama:
    def __init__(self, library):
        self.lib = ctypes.CDLL(str(library))
        pointers = {"llama_model_load_from_file": [ctypes.c_char_p, ModelParams],
                    "llama_init_from_model": [ctypes.c_void_p, ContextParams],
                    "llama_adapter_lora_init": [ctypes.c_void_p, ctypes.c_char_p]}
        for name, arguments in pointers.items():
            getattr(self.lib, name).restype = ctypes.c_void_p
            getattr(self.lib, name).argtypes = arguments
        self.lib.llama_model_default_params.restype = ModelParams
        self.lib.llama_context_default_params.restype = ContextParams
        self.lib.llama_decode.argtypes = [ctypes.c_void_p, Batch]
        self.lib.llama_set_adapters_lora.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t,
                                                     ctypes.POINTER(ctypes.c_float)]
        self.lib.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
        self.lib.llama_get_logits_ith.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        for name in ("llama_free", "llama_model_free"):
            getattr(self.lib, name).argtypes = [ctypes.c_void_p]
        self.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
        self.lib.llama_log_set(self.quiet, None)
        load = ctypes.CDLL(str(library).replace("libllama", "libggml")).ggml_backend_load_all_from_path
        load.argtypes = [ctypes.c_char_p]
        load(str(pathlib.Path(library).parent).encode())
        self.lib.llama_backend_init()

    def logits(self, base, adapter, vocabulary):
        import numpy as np

        model = self.lib.llama_model_load_from_file(str(base).encode(), self.lib.llama_model_default_params())
        assert model, "llama.cpp does not load the base"
        params = self.lib.llama_context_default_params()
        params.flash_attn_type = 0
        params.type_k = params.type_v = 0  # F32, as PEFT computes.
        context = self.lib.llama_init_from_model(model, params)
        assert context
        if adapter is not None:
            lora = self.lib.llama_adapter_lora_init(model, str(adapter).encode())
            assert lora, f"llama.cpp does not load {adapter}"
            assert self.lib.llama_set_adapters_lora(context, ctypes.byref(ctypes.c_void_p(lora)), 1,
                                                    ctypes.byref(ctypes.c_float(1))) == 0
        count = len(TOKENS)
        one = (ctypes.c_int32 * 1)(0)
        batch = Batch(count, (ctypes.c_int32 * count)(*TOKENS), None, (ctypes.c_int32 * count)(*range(count)),
                      (ctypes.c_int32 * count)(*[1] * count),
                      (ctypes.POINTER(ctypes.c_int32) * count)(*[ctypes.cast(one, ctypes.POINTER(ctypes.c_int32))] * count),
                      (ctypes.c_int8 * count)(*[1] * count))
        assert self.lib.llama_decode(context, batch) == 0
        out = np.stack([np.ctypeslib.as_array(self.lib.llama_get_logits_ith(context, i), (vocabulary,)).copy()
                        for i in range(count)])
        self.lib.llama_free(context)
        self.lib.llama_model_free(model)
        return out


COMMON = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
          "vocab_size": 64, "max_position_embeddings": 64, "tie_word_embeddings": False, "head_dim": 16}
DENSE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True}
GRANITE = {"embedding_multiplier": 2.0, "residual_multiplier": 0.5, "logits_scaling": 4.0, "attention_multiplier": 0.25}
GPT2 = {"n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 64, "n_inner": 96, "activation_function": "gelu_new"}
CASES = [
    ("llama", "Llama", {}, {"target_modules": DENSE}),
    ("llama", "Llama", {}, {"target_modules": DENSE, "use_rslora": True, "rank_pattern": {"v_proj": 7}}),
    ("llama", "Llama", {}, {"target_modules": DENSE, "alpha_pattern": {"q_proj": 5, "layers.1.mlp.up_proj": 2}}),
    ("llama", "Llama", {}, {"target_modules": ["q_proj", "embed_tokens", "lm_head"]}),
    ("qwen3", "Qwen3", {}, {"target_modules": DENSE, "alpha_pattern": {"up_proj": 3}}),
    ("qwen3moe", "Qwen3Moe", MOE, {"target_modules": ["q_proj"], "target_parameters": ["experts.gate_up_proj", "experts.down_proj", "gate.weight"]}),
    ("phi3", "Phi3", {"pad_token_id": 0}, {"target_modules": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], "use_rslora": True}),
    ("granite", "Granite", GRANITE, {"target_modules": DENSE}),
    ("gpt2", "GPT2", GPT2, {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}),
]


def base_tensors(arch, names, model, config):
    """Each weight as llama.cpp's own converter would name and order it."""
    for name, value in model.state_dict().items():
        array = value.numpy().astype("f4")
        if arch in ("llama", "granite") and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        if arch == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            array = array.T
        if ".experts." in name:
            layer, half = name.split(".")[2], array.shape[1] // 2
            gate_up = "gate_up_proj" in name
            for part, rows in ((("gate", array[:, :half]), ("up", array[:, half:])) if gate_up else (("down", array),)):
                yield f"blk.{layer}.ffn_{part}_exps.weight", rows
            continue
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), array


def write_base(path, arch, model, config):
    import gguf
    import numpy as np

    which = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    names = gguf.get_tensor_name_map(which, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(64)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.n_inner if arch == "gpt2" else config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    if arch == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_key_length(width)
        writer.add_value_length(width)
        writer.add_rope_dimension_count(width)
        writer.add_rope_freq_base(10000.0)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if arch == "qwen3moe":
        writer.add_expert_count(config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if arch == "phi3":
        writer.add_rope_scaling_orig_ctx_len(64)
        writer.add_sliding_window(0)
    if arch == "granite":
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
        writer.add_attention_scale(config.attention_multiplier)
    for name, array in base_tensors(arch, names, model, config):
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(llama, folder):
    import numpy as np
    import peft
    import torch
    import transformers

    for number, (arch, name, fields, lora) in enumerate(CASES):
        below = folder / str(number)
        below.mkdir()
        torch.manual_seed(number)
        class_name = "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM"
        common = {"vocab_size": 64, "tie_word_embeddings": False} if name == "GPT2" else COMMON
        config = getattr(transformers, f"{name}Config")(**common, **fields, architectures=[class_name])
        model = getattr(transformers, class_name)(config).eval()
        for parameter in model.parameters():
            parameter.data = parameter.data + torch.randn_like(parameter) * 0.05
        config.save_pretrained(below)
        write_base(below / "base.gguf", arch, model, config)
        tokens = torch.tensor([TOKENS])
        with torch.no_grad():
            plain = model(tokens).logits[0].numpy()
            wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=12, **lora)).eval()
            for key, parameter in wrapped.named_parameters():
                if "lora_" in key:
                    parameter.data = torch.randn_like(parameter) * 0.2
            want = wrapped(tokens).logits[0].numpy()
        wrapped.save_pretrained(below / "adapter")
        subprocess.run([FERRULE, "convert", below / "adapter", "-o", below / "a.gguf", "--to", "gguf", "--base", below,
                        "--durability", "fast"], check=True, stdout=subprocess.DEVNULL)
        base = np.abs(llama.logits(below / "base.gguf", None, config.vocab_size) - plain).max()
        error = np.abs(llama.logits(below / "base.gguf", below / "a.gguf", config.vocab_size) - want).max()
        print(json.dumps({"case": [arch, {k: v for k, v in lora.items() if v is not DENSE}], "base": float(base), "with": float(error),
                          "effect": float(np.abs(want - plain).max())}), flush=True)
        assert np.abs(want - plain).max() > 0.1
        # gpt2 has tables of gelu in half precision.
        assert base < 1e-3 if arch == "gpt2" else base < 1e-4, base
        assert error < 5e-3 if arch == "gpt2" else error < 1e-3, error


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Llama(sys.argv[2]), pathlib.Path(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            sys.exit(inside(pathlib.Path(temporary)))
