#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/exchange/programs: small adapters as other programs save them, and what they add to each weight.

    make_exchange_samples.py PROGRAM [FOLDER]

PROGRAM is one of
  adapterhub   pip install torch==2.13.0 transformers==4.57.6 adapters==1.3.0
  torchtune    pip install torch==2.13.0 torchtune==0.6.1 torchao==0.13.0
  litgpt       pip install torch==2.13.0 litgpt==0.5.13
  onnx         pip install onnxruntime==1.32.0
  keras        pip install torch==2.13.0 keras==3.15.1 keras-hub==0.32.0
  paddle       pip install paddlepaddle==3.3.1 paddleformers==1.2.0
  mistral      pip install torch==2.13.0 safetensors simple-parsing; pip install --no-deps mistral-inference==1.6.0
  lightning    pip install torch==2.13.0 transformers peft==0.21.2 lightning==2.6.6
  swift        pip install torch==2.13.0 transformers==4.57.6 peft==0.17.1 datasets==4.2.0; pip install --no-deps ms-swift==4.6.0

Each sample is a folder: `adapter` is what the program wrote, `base/config.json` the model, and `truth.safetensors` the difference
of every weight between the model that the program merged and the one before, in transformers' names.
"""

import json
import pathlib
import sys

import numpy as np


def write_sample(folder, base, truth):
    from safetensors.numpy import save_file

    (folder / "base").mkdir(parents=True, exist_ok=True)
    (folder / "base" / "config.json").write_text(json.dumps(base, indent=1) + "\n")
    kept = {name: np.ascontiguousarray(value, np.float32) for name, value in truth.items() if np.any(value)}
    assert kept, folder
    save_file(kept, folder / "truth.safetensors")


LLAMA = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=16, intermediate_size=24, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, head_dim=4, vocab_size=40, tie_word_embeddings=False)


def adapterhub(root):
    import adapters
    import torch
    from adapters import IA3Config, LoRAConfig
    from transformers import (BertConfig, BertForSequenceClassification, BertModel, DistilBertConfig, DistilBertModel, GPT2Config,
                              GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration)

    bert = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
    llama = LlamaConfig(**{key: value for key, value in LLAMA.items() if key not in ("architectures", "model_type")})
    gpt2 = GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=32)
    t5 = T5Config(vocab_size=40, d_model=16, d_kv=4, num_heads=4, num_layers=1, d_ff=24)
    distilbert = DistilBertConfig(vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=24)
    everywhere = dict(r=4, alpha=6, attn_matrices=["q", "k", "v"], intermediate_lora=True, output_lora=True)
    cases = {
        "adapterhub-t5": (T5ForConditionalGeneration, t5, LoRAConfig(**everywhere)),
        "adapterhub-distilbert": (DistilBertModel, distilbert, LoRAConfig(**everywhere, leave_out=[1])),
        "adapterhub-gpt2-ia3": (GPT2LMHeadModel, gpt2, IA3Config()),
        "adapterhub-bert": (BertModel, bert, LoRAConfig(r=4, alpha=16)),
        "adapterhub-bert-head": (BertForSequenceClassification, bert,
                                 LoRAConfig(r=4, alpha=16, intermediate_lora=True, output_lora=True)),
        "adapterhub-llama": (LlamaForCausalLM, llama, LoRAConfig(r=4, alpha=8, attn_matrices=["q", "k", "v"],
                                                                 intermediate_lora=True, output_lora=True)),
        "adapterhub-gpt2": (GPT2LMHeadModel, gpt2, LoRAConfig(r=4, alpha=8)),
        "adapterhub-ia3": (BertModel, bert, IA3Config()),
    }
    for name, (kind, config, method) in cases.items():
        torch.manual_seed(1)
        model = kind(config)
        adapters.init(model)
        model.add_adapter("task", config=method)
        for parameter_name, parameter in model.named_parameters():
            if ".loras.task." in parameter_name:
                parameter.data = torch.randn_like(parameter) * 0.1
        (root / name).mkdir(parents=True, exist_ok=True)
        model.save_adapter(str(root / name / "adapter"), "task", with_head=False)
        weights = {k: v.detach().clone() for k, v in model.named_parameters() if k.endswith(".weight") and "loras" not in k}
        model.merge_adapter("task")
        merged = dict(model.named_parameters())
        truth = {k: (merged[k].detach() - v).numpy() for k, v in weights.items()}
        if isinstance(method, IA3Config):  # What each output is multiplied by; GPT-2's are columns.
            scales = {k: (merged[k].detach() / v).numpy() for k, v in weights.items() if np.any(truth[k])}
            truth = {k: v[0] if kind is GPT2LMHeadModel else v[:, 0] for k, v in scales.items()}
        described = config.to_dict()
        described["architectures"] = [kind.__name__]
        write_sample(root / name, {k: described[k] for k in sorted(described) if described[k] is not None}, truth)


def torchtune(root):
    import torch
    from torchtune.models import convert_weights
    from torchtune.models.llama2 import lora_llama2
    from torchtune.models.phi3._component_builders import lora_phi3
    from torchtune.models.phi3._convert_weights import phi3_tune_to_hf
    from torchtune.modules.peft import get_adapter_params, get_merged_lora_ckpt

    def llama_to_hf(weights):
        return convert_weights.tune_to_hf(weights, num_heads=4, num_kv_heads=2, dim=16)

    phi3 = dict(LLAMA, architectures=["Phi3ForCausalLM"], model_type="phi3")
    everywhere = ["q_proj", "k_proj", "v_proj", "output_proj"]
    cases = {"torchtune": (lora_llama2, everywhere, {}, LLAMA, llama_to_hf),
             "torchtune-mlp": (lora_llama2, everywhere, dict(apply_lora_to_mlp=True, apply_lora_to_output=True), LLAMA, llama_to_hf),
             "torchtune-phi3": (lora_phi3, ["q_proj", "v_proj"], dict(apply_lora_to_mlp=True), phi3, phi3_tune_to_hf)}
    for name, (make, modules, extra, base, to_hf) in cases.items():
        torch.manual_seed(2)
        model = make(modules, vocab_size=40, num_layers=2, num_heads=4, num_kv_heads=2, embed_dim=16, max_seq_len=32,
                     intermediate_dim=24, lora_rank=4, lora_alpha=8, **extra)
        trained = get_adapter_params(model)
        for parameter in trained.values():
            parameter.data = torch.randn_like(parameter) * 0.1
        folder = root / name / "adapter"
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({k: v.detach().clone() for k, v in trained.items()}, folder / "adapter_model.pt")
        (folder / "adapter_config.json").write_text(json.dumps(
            {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"], "peft_type": "LORA"}))
        state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        merged = get_merged_lora_ckpt({k: v.clone() for k, v in state.items()}, rank=4, alpha=8)
        old, new = to_hf({k: v for k, v in state.items() if k in merged}), to_hf(merged)
        write_sample(root / name, base, {k: (new[k] - old[k]).numpy() for k in old})


def litgpt(root):
    import torch
    from litgpt.lora import GPT, Config, lora_filter, merge_lora_weights
    from litgpt.scripts.convert_lit_checkpoint import (copy_weights_falcon, copy_weights_gpt_neox, copy_weights_llama,
                                                       copy_weights_phi)

    common = dict(block_size=32, vocab_size=40, padded_vocab_size=40, n_layer=2, n_head=4, n_embd=16, intermediate_size=24,
                  rotary_percentage=1.0)
    llama = dict(common, n_query_groups=2, head_size=4, parallel_residual=False, bias=False, norm_class_name="RMSNorm",
                 mlp_class_name="LLaMAMLP")
    neox = dict(common, parallel_residual=True, bias=True, norm_class_name="LayerNorm", mlp_class_name="GptNeoxMLP")
    plain = {key: LLAMA[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")}
    cases = {
        "litgpt": ("tiny", llama, LLAMA, lambda *words: copy_weights_llama(*words, untie_weights=False), {}),
        "litgpt-mixtral": ("tiny", dict(llama, mlp_class_name="LLaMAMoE", n_expert=2, n_expert_per_token=1),
                           dict(LLAMA, architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=2),
                           lambda *words: copy_weights_llama(*words, untie_weights=False), dict(lora_head=False)),
        "litgpt-phi3": ("Phi-3-tiny", llama, dict(LLAMA, architectures=["Phi3ForCausalLM"], model_type="phi3"), copy_weights_phi, {}),
        "litgpt-pythia": ("pythia-tiny", neox, dict(plain, architectures=["GPTNeoXForCausalLM"], model_type="gpt_neox"),
                          copy_weights_gpt_neox, {}),
        "litgpt-falcon": ("falcon-7b", dict(neox, n_query_groups=1, bias=False, shared_attention_norm=True),
                          dict(plain, architectures=["FalconForCausalLM"], model_type="falcon", multi_query=True),
                          copy_weights_falcon, dict(lora_key=True, lora_head=False))}
    for sample, (name, sizes, base, copy_weights, more) in cases.items():
        settings = dict(lora_r=4, lora_alpha=8, lora_dropout=0.0, lora_query=True, lora_key=False, lora_value=True,
                        lora_projection=True, lora_mlp=True, lora_head=True) | more
        config = Config(name=name, **sizes, **settings)
        torch.manual_seed(3)
        model = GPT(config)
        for parameter in model.parameters():
            parameter.data = torch.randn_like(parameter) * 0.1
        folder = root / sample / "adapter"
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({"model": {k: v for k, v in model.state_dict().items() if lora_filter(k, v)}}, folder / "lit_model.pth.lora")
        (folder / "hyperparameters.yaml").write_text("".join(
            f"{k}: {str(v).lower() if isinstance(v, bool) else v}\n" for k, v in settings.items()))

        def to_hf():
            weights = {k.replace("linear.", ""): v for k, v in model.state_dict().items() if not lora_filter(k, v)}
            out = {}
            copy_weights(config, out, weights)
            return {k: v.detach().clone() for k, v in out.items()}

        old = to_hf()
        merge_lora_weights(model)
        new = to_hf()
        names = {k: k.replace("embed_out", "lm_head") for k in old}  # As transformers 5 calls gpt_neox's head.
        write_sample(root / sample, base, {names[k]: (new[k] - old[k]).numpy() for k in old})


def onnx(root):
    import onnxruntime

    random = np.random.default_rng(4)
    folder = root / "onnx" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    tensors, truth = {}, {}
    for layer in range(2):
        for module, out in (("q_proj", 16), ("v_proj", 8)):
            path = f"model.layers.{layer}.self_attn.{module}"
            a = (random.standard_normal((16, 4)) * 0.1).astype(np.float32)
            b = (random.standard_normal((4, out)) * 0.1).astype(np.float32)
            tensors[path + ".lora_A.weight"], tensors[path + ".lora_B.weight"] = a, b
            truth[path + ".weight"] = (a.astype(np.float64) @ b).T
    adapter = onnxruntime.AdapterFormat()
    adapter.set_adapter_version(0)
    adapter.set_model_version(0)
    adapter.set_parameters({k: onnxruntime.OrtValue.ortvalue_from_numpy(v) for k, v in tensors.items()})
    adapter.export_adapter(str(folder / "adapter.onnx_adapter"))
    write_sample(root / "onnx", LLAMA, truth)


def keras(root):
    import os

    os.environ["KERAS_BACKEND"] = "torch"
    import keras_hub

    size = dict(vocabulary_size=40, num_layers=2, num_query_heads=4, num_key_value_heads=2, hidden_dim=16, intermediate_dim=24)
    gemma = dict(LLAMA, architectures=["GemmaForCausalLM"], model_type="gemma", tie_word_embeddings=True)
    phi3 = dict(LLAMA, architectures=["Phi3ForCausalLM"], model_type="phi3")
    cases = {"keras-llama": (lambda: keras_hub.models.LlamaBackbone(**size), LLAMA, None),
             "keras-phi3": (lambda: keras_hub.models.Phi3Backbone(**size), phi3, None),
             "keras-gemma": (lambda: keras_hub.models.GemmaBackbone(**size, head_dim=4), gemma,
                             ["query", "key", "value", "attention_output", "ffw_gating", "ffw_linear"])}
    names = {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
             "attention_output": "self_attn.o_proj", "ffw_gating": "mlp.gate_proj", "ffw_gating_2": "mlp.up_proj",
             "ffw_linear": "mlp.down_proj"}
    random = np.random.default_rng(5)
    for name, (make, base, targets) in cases.items():
        model = make()
        model.enable_lora(3, target_layer_names=targets)
        for variable in model.trainable_variables:
            variable.assign(random.standard_normal(variable.shape) * 0.1)
        (root / name / "adapter").mkdir(parents=True, exist_ok=True)
        model.save_lora_weights(str(root / name / "adapter" / "run.lora.h5"))
        truth = {}
        for layer in model._flatten_layers(include_self=False):
            if not getattr(layer, "lora_enabled", False):
                continue
            change = (layer.kernel - layer._kernel).detach().numpy().astype(np.float64)
            if layer.name in ("query", "key", "value"):
                # gemma's kernel is [heads, in, width], that of others [in, heads, width].
                change = change.swapaxes(0, 1) if name == "keras-gemma" else change
                change = change.reshape(change.shape[0], -1)
            else:
                change = change.reshape(-1, change.shape[-1])
            block = int(layer.path.replace("decoder_block_", "transformer_layer_").split("transformer_layer_")[1].split("/")[0])
            truth[f"model.layers.{block}.{names[layer.name]}.weight"] = change.T
        if base is phi3:  # q, k and v are one module of transformers.
            for block in range(2):
                stem = f"model.layers.{block}.self_attn."
                q, v = (truth.pop(f"{stem}{which}_proj.weight") for which in "qv")
                truth[stem + "qkv_proj.weight"] = np.concatenate([q, np.zeros_like(v), v])
        write_sample(root / name, base, truth)


def lightning(root):
    import peft
    import torch
    import transformers
    from lightning.pytorch import LightningModule, Trainer

    size = {key: value for key, value in LLAMA.items() if key not in ("architectures", "model_type")}

    class Task(LightningModule):
        def __init__(self, lora):
            super().__init__()
            self.save_hyperparameters()  # An object of PEFT's class in the checkpoint.
            self.model = peft.get_peft_model(transformers.LlamaForCausalLM(transformers.LlamaConfig(**size)), lora)

        def training_step(self, batch, _):
            return self.model(input_ids=batch[0], labels=batch[0]).loss

        def configure_optimizers(self):
            return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.5)

    torch.manual_seed(6)
    task = Task(peft.LoraConfig(r=4, lora_alpha=10, target_modules=["q_proj", "down_proj"], use_rslora=True))
    for name, parameter in task.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.1
    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
                      enable_checkpointing=False)
    data = torch.utils.data.TensorDataset(torch.randint(0, 40, (4, 6)))
    trainer.fit(task, torch.utils.data.DataLoader(data, batch_size=4))
    folder = root / "lightning"
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(folder / "adapter.ckpt")
    task.model.save_pretrained(folder / "saved")
    (folder / "config.json").write_text((folder / "saved" / "adapter_config.json").read_text())
    for path in (folder / "saved").iterdir():
        path.unlink()
    (folder / "saved").rmdir()
    base = task.model.get_base_model()
    before = {k.replace(".base_layer", ""): v.clone() for k, v in base.state_dict().items() if "lora_" not in k}
    after = task.model.merge_and_unload().state_dict()
    write_sample(folder, LLAMA, {k: (after[k] - before[k]).numpy() for k in after})


def swift(root):
    import torch
    import transformers
    from swift.tuners import LoRAConfig, Swift

    size = {key: value for key, value in LLAMA.items() if key not in ("architectures", "model_type")}
    cases = {"swift": dict(target_modules=["q_proj", "down_proj"], use_rslora=True, modules_to_save=["lm_head"]),
             "swift-patterns": dict(target_modules=r".*\.1\..*[qv]_proj", rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3})}
    for name, options in cases.items():
        torch.manual_seed(8)
        model = Swift.prepare_model(transformers.LlamaForCausalLM(transformers.LlamaConfig(**size)),
                                    LoRAConfig(r=4, lora_alpha=10, **options))
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.data = torch.randn_like(parameter) * 0.1
        model.save_pretrained(str(root / name / "adapter"))
        (root / name / "adapter" / "README.md").unlink()
        layers = {k: m for k, m in model.named_modules() if hasattr(m, "get_delta_weight")}
        truth = {k.removeprefix("base_model.") + ".weight": m.get_delta_weight("default").detach().numpy() for k, m in layers.items()}
        write_sample(root / name, LLAMA, truth)


def paddle(root):
    import shutil

    import paddle as library
    from paddleformers.peft import LoRAConfig, LoRAModel
    from paddleformers.transformers import LlamaConfig, LlamaForCausalLM

    size = {key: value for key, value in LLAMA.items() if key not in ("architectures", "model_type", "head_dim")}
    cases = {"paddle": dict(target_modules=[".*q_proj.*", ".*v_proj.*"]),
             "paddle-rslora": dict(target_modules=[".*k_proj.*", ".*down_proj.*"], rslora=True),
             "paddle-trainable": dict(target_modules=[".*q_proj.*"], trainable_modules=[".*norm.*"])}
    for name, fields in cases.items():
        library.seed(7)
        model = LoRAModel(LlamaForCausalLM(LlamaConfig(**size)), LoRAConfig(r=4, lora_alpha=12, **fields))
        for key, parameter in model.named_parameters():
            if "lora" in key:
                parameter.set_value(library.randn(parameter.shape) * 0.1)
        before = {key: value.numpy().copy() for key, value in model.model.state_dict().items()}
        made = root / name / "made"
        model.save_pretrained(str(made))
        (root / name / "adapter").mkdir(exist_ok=True)
        for path in made.iterdir():  # config.json is the base's, saved_signal_0 is empty.
            if path.name.startswith(("lora_config", "peft_model")):
                shutil.copy(path, root / name / "adapter" / path.name)
        shutil.rmtree(made)
        model.merge()
        after = model.model.state_dict()
        # Its linear layers keep their weights the other way round.
        write_sample(root / name, LLAMA, {key: (after[key].numpy() - value).T for key, value in before.items()
                                          if "lora" not in key and value.ndim == 2 and "embed" not in key})


def mistral(root):
    """The model around mistral-inference's own merge (LoRALoaderMixin.load_lora) has its names alone: its layers need a GPU."""
    # module: (transformers' name, rows, columns, heads whose rows are in pairs)
    attention = {"attention.wq": ("self_attn.q_proj", 16, 16, 4), "attention.wk": ("self_attn.k_proj", 8, 16, 2),
                 "attention.wv": ("self_attn.v_proj", 8, 16, None), "attention.wo": ("self_attn.o_proj", 16, 16, None)}
    dense = {"feed_forward.w1": ("mlp.gate_proj", 24, 16, None), "feed_forward.w2": ("mlp.down_proj", 16, 24, None),
             "feed_forward.w3": ("mlp.up_proj", 24, 16, None)}
    experts = {f"feed_forward.experts.{i}.{name}": (f"block_sparse_moe.experts.{i}.{name}", *size, None)
               for i in range(2) for name, size in (("w1", (24, 16)), ("w2", (16, 24)), ("w3", (24, 16)))}
    write_mistral(root / "mistral", attention | dense, dict(LLAMA, architectures=["MistralForCausalLM"], model_type="mistral"))
    write_mistral(root / "mistral-mixtral", attention | experts,
                  dict(LLAMA, architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=2))


def write_mistral(sample, modules, base):
    import types

    import torch
    from mistral_inference.lora import LoRALoaderMixin
    from safetensors.torch import save_file

    class Model(LoRALoaderMixin, torch.nn.Module):
        dtype, device, pipeline_rank = torch.float32, "cpu", 0

        def __init__(self):
            super().__init__()
            self.args = types.SimpleNamespace(lora=None)
            self.layers = torch.nn.ModuleDict()
            for layer in "01":
                self.layers[layer] = torch.nn.Module()
                for name, (_, rows, columns, _) in modules.items():
                    *parts, leaf = name.split(".")
                    place = self.layers[layer]
                    for part in parts:
                        if not hasattr(place, part):
                            setattr(place, part, torch.nn.Module())
                        place = getattr(place, part)
                    setattr(place, leaf, torch.nn.Linear(columns, rows, bias=False))

    torch.manual_seed(8)
    model = Model()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    tensors = {}
    for layer in "01":
        for name, (_, rows, columns, _) in modules.items():
            tensors[f"layers.{layer}.{name}.lora_A.weight"] = torch.randn(4, columns) * 0.1
            tensors[f"layers.{layer}.{name}.lora_B.weight"] = torch.randn(rows, 4) * 0.1
    folder = sample / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "lora.safetensors")
    (folder / "params.json").write_text(json.dumps({"dim": 16, "n_layers": 2, "lora": {"enable": True, "rank": 4, "scaling": 2.0}}))
    model.load_lora(folder / "lora.safetensors")
    truth = {}
    for key, value in model.state_dict().items():
        _, layer, name = key.removesuffix(".weight").split(".", 2)
        hf, rows, columns, heads = modules[name]
        change = (value - before[key]).numpy()
        if heads:  # Its rotary embedding turns rows 2i and 2i + 1 of a head.
            change = change.reshape(heads, -1, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        truth[f"model.layers.{layer}.{hf}.weight"] = change
    write_sample(sample, base, truth)


def main():
    programs = {"keras": keras, "mistral": mistral, "paddle": paddle, "lightning": lightning, "adapterhub": adapterhub, "torchtune": torchtune, "litgpt": litgpt,
                "onnx": onnx, "swift": swift}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in programs:
        sys.exit(__doc__)
    default = pathlib.Path(__file__).resolve().parent.parent / "tests" / "exchange" / "programs"
    programs[sys.argv[1]](pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else default)


if __name__ == "__main__":
    main()
