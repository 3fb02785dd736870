#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ferrule rescue` of every method of PEFT whose tensors a state dict has, out of a whole state dict and out of DCP, and of several
adapters and tied embeddings. The truth is what PEFT saves of the same model.

    rescue_methods.py FERRULE
"""

import pathlib
import sys
import tempfile

import peft
import rescue_checks
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM


def lora(**more):
    return peft.LoraConfig(**{"r": 4, "target_modules": ["q_proj", "v_proj"], **more})


def prompt(kind, **more):
    return kind(task_type="CAUSAL_LM", num_virtual_tokens=5, **more)


Q = {"target_modules": ["q_proj"]}
CONFIGS = {
    "dora": lambda: lora(use_dora=True, task_type="CAUSAL_LM"),
    "patterns": lambda: lora(use_rslora=True, rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 9}, lora_bias=True),
    "all biases": lambda: lora(bias="all"),
    "own biases": lambda: lora(bias="lora_only"),
    "tokens": lambda: lora(trainable_token_indices=[2, 5]),
    "norm": lambda: lora(modules_to_save=["norm", "embed_tokens"]),
    "all-linear": lambda: lora(target_modules="all-linear", exclude_modules=["k_proj"]),
    "regex": lambda: lora(target_modules=r".*layers\.1\..*(q|v)_proj"),
    "embedding": lambda: lora(target_modules=["embed_tokens", "q_proj"], task_type="CAUSAL_LM"),
    "head": lambda: lora(target_modules=["lm_head", "q_proj"], task_type="CAUSAL_LM"),
    "parameters": lambda: lora(target_modules=[], target_parameters=["q_proj.weight"]),
    "vera": lambda: peft.VeraConfig(r=4, **Q),
    "vera, no projection": lambda: peft.VeraConfig(r=4, save_projection=False, **Q),
    "ia3": lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "oft": lambda: peft.OFTConfig(r=0, oft_block_size=4, **Q),
    "boft": lambda: peft.BOFTConfig(boft_block_size=4, **Q),
    "loha": lambda: peft.LoHaConfig(r=4, **Q),
    "lokr": lambda: peft.LoKrConfig(r=4, **Q),
    "adalora": lambda: peft.AdaLoraConfig(init_r=4, target_r=2, total_step=10, **Q),
    "norms": lambda: peft.LNTuningConfig(target_modules=["input_layernorm"]),
    "fourierft": lambda: peft.FourierFTConfig(n_frequency=20, **Q),
    "hra": lambda: peft.HRAConfig(r=4, **Q),
    "vblora": lambda: peft.VBLoRAConfig(r=4, num_vectors=10, vector_length=4, **Q),
    "miss": lambda: peft.MissConfig(r=4, **Q),
    "c3a": lambda: peft.C3AConfig(block_size=4, **Q),
    "randlora": lambda: peft.RandLoraConfig(r=4, **Q),
    "trainable tokens": lambda: peft.TrainableTokensConfig(token_indices=[1, 3], target_modules=["embed_tokens"]),
    "prompt": lambda: prompt(peft.PromptTuningConfig),
    "prefix": lambda: prompt(peft.PrefixTuningConfig),
}
TIED = {
    "tied head": lambda: lora(modules_to_save=["lm_head"], task_type="CAUSAL_LM"),
    "tied both": lambda: lora(modules_to_save=["lm_head", "embed_tokens"], task_type="CAUSAL_LM"),
    "tied together": lambda: lora(modules_to_save=["embed_tokens"], ensure_weight_tying=True, task_type="CAUSAL_LM"),
    "tied tokens": lambda: lora(trainable_token_indices=[1, 2], task_type="CAUSAL_LM"),
}
#: Computed from several tensors when they are saved: equal up to rounding.
COMPUTED = {
    "p-tuning": lambda: prompt(peft.PromptEncoderConfig, encoder_hidden_size=8),
    "projected prefix": lambda: prompt(peft.PrefixTuningConfig, prefix_projection=True, encoder_hidden_size=8),
}


def make(config, tied=False):
    torch.manual_seed(11)
    sizes = LlamaConfig(hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=50,
                        attention_bias=True, tie_word_embeddings=tied)
    return fill(peft.get_peft_model(LlamaForCausalLM(sizes), config))


def fill(model):
    with torch.no_grad():
        for at, parameter in enumerate(model.parameters()):
            if parameter.requires_grad and parameter.dtype.is_floating_point:
                parameter.normal_(generator=torch.Generator().manual_seed(at))
    return model


def write(folder, model):
    model.save_pretrained(folder / "expected")
    (folder / "whole").mkdir()
    torch.save(model.state_dict(), folder / "whole/pytorch_model_fsdp.bin")
    dcp.save({"model": model.state_dict()}, checkpoint_id=folder / "dcp", no_dist=True)


def near(checks, folder, checkpoint):
    done, out = checks.run("rescue", folder / checkpoint, folder / "expected/adapter_config.json")
    why = done.stderr[:300]
    if done.returncode == 0:
        found, expected = load_file(out / "adapter_model.safetensors"), load_file(folder / "expected/adapter_model.safetensors")
        same = found.keys() == expected.keys() and all(torch.allclose(found[name], expected[name], rtol=1e-5, atol=1e-6) for name in expected)
        why = None if same else "other values"
    checks.report(f"{folder.name}/{checkpoint}", why)


def main():
    checks = rescue_checks.Checks(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        for name, config in {**CONFIGS, **TIED, **COMPUTED}.items():
            folder = pathlib.Path(place) / name
            write(folder, make(config(), name in TIED))
            for checkpoint in ("whole", "dcp"):
                if name in COMPUTED:
                    near(checks, folder, checkpoint)
                else:
                    checks.good(folder / checkpoint, folder / "expected")
        several = make(lora())
        several.add_adapter("other", lora(r=5, target_modules=["o_proj"]))
        folder = pathlib.Path(place) / "several"
        write(folder, fill(several))
        for checkpoint in ("whole", "dcp"):
            checks.good(folder / checkpoint, folder / "expected", options=["--adapter", "default"])
            checks.good(folder / checkpoint, folder / "expected/other", options=["--adapter", "other"])
            checks.refused(folder / checkpoint, folder / "expected/adapter_config.json", "rescue", None, "RS-11", '"other"')
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
