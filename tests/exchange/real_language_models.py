# SPDX-License-Identifier: Apache-2.0
"""real_language_models.py FERRULE: the gguf package and mlx-lm themselves read what Ferrule writes.

* gguf: its reader reads the file, and its quantizer makes the same bytes of f32, f16, bf16 and q8_0.
* mlx-lm: the model with our adapter, loaded by its own load_adapters, has the logits of PEFT's.

The programs of requirements.txt are installed into a folder of their own, on top of the environment that runs this.
"""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

FERRULE = os.path.abspath(sys.argv[1])
HERE = pathlib.Path(__file__).resolve().parent


def inside(folder):
    """Runs this again in the environment with the programs."""
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env/bin/python"
    site = next((folder / "env/lib").glob("python*/site-packages"))
    (site / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "-r", HERE / "requirements.txt"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "mlx[cpu]==0.32.4"], check=True)
    return subprocess.run([python, __file__, FERRULE, "--inside"], check=False).returncode


def convert(source, output, to, *options):
    subprocess.run([FERRULE, "convert", source, "-o", output, "--to", to, "--durability", "fast", *options], check=True,
                   stdout=subprocess.DEVNULL)


def check_gguf(folder):
    import gguf
    import numpy as np

    import formats

    random = np.random.default_rng(3)
    path = "model.layers.0.mlp.up_proj"
    a = (random.standard_normal((32, 96)) * np.exp(random.standard_normal((32, 1)) * 3)).astype("f4")
    b = random.standard_normal((64, 32)).astype("f4")
    a[0, :32] = 0
    formats.write_peft(folder / "source", {f"{path}.lora_A.weight": a, f"{path}.lora_B.weight": b}, r=32)
    (folder / "base").mkdir()
    (folder / "base/config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "num_attention_heads": 4}))
    kinds = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16, "bf16": gguf.GGMLQuantizationType.BF16,
             "q8_0": gguf.GGMLQuantizationType.Q8_0}
    for dtype, kind in kinds.items():
        convert(folder / "source", folder / f"{dtype}.gguf", "gguf", "--base", folder / "base", "--dtype", dtype)
        reader = gguf.GGUFReader(folder / f"{dtype}.gguf")
        assert reader.fields["general.type"].contents() == "adapter"
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        for name, values in (("lora_a", a), ("lora_b", b)):
            tensor = tensors[f"blk.0.ffn_up.weight.{name}"]
            assert tensor.tensor_type == kind and list(tensor.shape) == list(values.shape[::-1])
            assert tensor.data.tobytes() == gguf.quants.quantize(values, kind).tobytes(), (dtype, name)


def peft_logits(model, config, folder):
    import peft
    import torch

    torch.manual_seed(1)
    wrapped = peft.get_peft_model(model, config)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data = torch.randn_like(parameter) * 0.2
    wrapped.save_pretrained(folder / "adapter")
    with torch.no_grad():
        return wrapped.eval()(torch.arange(10)[None]).logits[0].numpy()


def mlx_logits(module, config, weights, adapter):
    import importlib

    import mlx.core as mx
    from mlx_lm.utils import load_adapters

    library = importlib.import_module(f"mlx_lm.models.{module}")
    model = library.Model(library.ModelArgs.from_dict(config))
    parts = {name: mx.array(value) for name, value in weights.items()}
    model.load_weights(list(model.sanitize(parts).items() if hasattr(model, "sanitize") else parts.items()))
    model.eval()
    if adapter is not None:
        model = load_adapters(model, str(adapter))
    import numpy as np

    return np.array(model(mx.arange(10)[None])[0])


def check_mlx(folder):
    import numpy as np
    import peft
    import torch
    import transformers

    common = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
              "vocab_size": 53, "max_position_embeddings": 64, "tie_word_embeddings": False}
    dense = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    cases = [("llama", "Llama", {"target_modules": dense, "use_rslora": True, "rank_pattern": {"v_proj": 7}}),
             ("llama", "Llama", {"target_modules": dense, "use_dora": True}),
             ("llama", "Llama", {"target_modules": ["embed_tokens", "lm_head", "q_proj"]}),
             ("qwen3", "Qwen3", {"target_modules": dense, "alpha_pattern": {"up_proj": 3}})]
    for number, (module, name, fields) in enumerate(cases):
        below = folder / f"{number}-{module}"
        below.mkdir()
        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(**common, architectures=[f"{name}ForCausalLM"], head_dim=8)
        model = getattr(transformers, f"{name}ForCausalLM")(config)
        weights = {key: value.numpy().copy() for key, value in model.state_dict().items()}
        plain = config.to_dict()
        plain.setdefault("rope_theta", 10000.0)
        plain.pop("rope_scaling", None)
        (below / "base").mkdir()
        config.save_pretrained(below / "base")
        want = peft_logits(model, peft.LoraConfig(r=4, lora_alpha=12, **fields), below)
        convert(below / "adapter", below / "mlx", "mlx", "--base", below / "base")
        got = mlx_logits(module, plain, weights, below / "mlx")
        without = mlx_logits(module, plain, weights, None)
        assert np.abs(want - without).max() > 0.01
        assert np.abs(got - want).max() < 2e-5, (module, fields, np.abs(got - want).max())


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if "--inside" not in sys.argv:
            sys.exit(inside(folder))
        check_gguf(folder)
        print("gguf", flush=True)
        check_mlx(folder)
        print("mlx-lm", flush=True)


if __name__ == "__main__":
    main()
