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
CASES = [
    ("llama", "Llama", {}, {"target_modules": DENSE}),
    ("llama", "Llama", {}, {"target_modules": DENSE, "use_rslora": True, "rank_pattern": {"v_proj": 7}}),
    ("llama", "Llama", {}, {"target_modules": DENSE, "alpha_pattern": {"q_proj": 5, "layers.1.mlp.up_proj": 2}}),
    ("llama", "Llama", {}, {"target_modules": ["q_proj", "embed_tokens", "lm_head"]}),
    ("qwen3", "Qwen3", {}, {"target_modules": DENSE, "alpha_pattern": {"up_proj": 3}}),
]


def write_base(path, arch, model, config):
    """The model as llama.cpp's own converter would name its tensors."""
    import gguf
    import numpy as np

    which = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)
    names = gguf.get_tensor_name_map(which, config.num_hidden_layers)
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(64)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    for name, value in model.state_dict().items():
        array = value.numpy().astype(np.float32)
        if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(array))
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
        config = getattr(transformers, f"{name}Config")(**COMMON, **fields, architectures=[f"{name}ForCausalLM"])
        model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
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
        assert base < 1e-4 and error < 1e-3, (base, error)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        main(Llama(sys.argv[2]), pathlib.Path(sys.argv[3]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            sys.exit(inside(pathlib.Path(temporary)))
