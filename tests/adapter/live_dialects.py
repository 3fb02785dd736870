# SPDX-License-Identifier: Apache-2.0
"""Gives the ferrule command what is no adapter of PEFT: every command says what it is.

usage: live_dialects.py FERRULE

Checkpoints of torch (DCP), Trainer and diffusers are written by those; files of programs that the test environment does not
have are written with the names that their savers use.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig
from safetensors.torch import save_file

FERRULE = os.path.abspath(sys.argv[1])
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}


def run(*command):
    done = subprocess.run([FERRULE, *map(str, command)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect(text, *wanted):
    for phrase in wanted:
        assert phrase in text, f"{phrase!r} is not in: {text[:600]}"
    for phrase in ("peft_type is missing", "adapters called", "header would have"):
        assert phrase not in text, text[:600]


def refused(phrases, *command):
    code, text = run(*command)
    assert code in (1, 3), (command, code, text[:300])
    expect(text, *phrases)


def with_config(folder):
    json.dump(CONFIG, open(folder + "/adapter_config.json", "w"))
    return folder + "/adapter_config.json"


def tensors(*names):
    return {name: torch.ones(2, 4) for name in names}


KEYS = {
    "kohya": (["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha"],
              "kohya-ss"),
    "lycoris": (["lycoris_blocks_0_attn.hada_w1_a", "lycoris_blocks_0_attn.hada_w1_b"], "LyCORIS"),
    "lokr of kohya": (["lora_unet_blocks_0_attn.lokr_w1", "lora_unet_blocks_0_attn.lokr_w2_a"], "LyCORIS"),
    "old diffusers": (["unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight"], "diffusers"),
    "ai-toolkit": (["diffusion_model.double_blocks.0.img_attn.proj.lora_A.weight"], "diffusers"),
    "torchtune": (["layers.0.attn.q_proj.lora_a.weight", "layers.0.attn.q_proj.lora_b.weight"], "torchtune"),
    "mlx": (["model.layers.0.self_attn.q_proj.lora_a", "model.layers.0.self_attn.q_proj.lora_b"], "mlx-lm"),
    "litgpt": (["transformer.h.0.attn.qkv.lora_A", "transformer.h.0.attn.qkv.lora_B"], "LitGPT"),
    "paddle": (["llama.layers.0.self_attn.q_proj.lora_A", "llama.layers.0.self_attn.q_proj.lora_B"], "PaddleNLP"),
    "mistral": (["layers.0.attention.wq.lora_A.weight", "layers.0.attention.wq.lora_B.weight"], "mistral-finetune"),
    "adapterhub": (["bert.encoder.layer.0.attention.self.query.loras.corpus.lora_A"], "AdapterHub"),
    "megatron": (["decoder.layers.0.self_attention.linear_qkv.adapter.linear_in.weight"], "Megatron"),
}


def names_of_other_programs(folder):
    for name, (keys, phrase) in KEYS.items():
        place = f"{folder}/{name.replace(' ', '-')}"
        os.makedirs(place)
        file = place + "/weights.safetensors"
        save_file(tensors(*keys), file)
        code, text = run("inspect", file)
        assert code == 0, text
        for command in (["verify", place], ["convert", place, "-o", folder + "/out"], ["convert", file, "-o", folder + "/out"],
                        ["fix", place, "-o", folder + "/out"], ["id", file], ["explain", file],
                        ["save", file, "-o", folder + "/out", "--config", with_config(folder)]):
            refused([phrase, "not of PEFT"], *command)
        # Beside a config of PEFT, too.
        save_file(tensors(*keys), place + "/adapter_model.safetensors")
        with_config(place)
        refused([phrase], "verify", place)


CONFIGS = {
    "AdapterHub": {"config": {"architecture": "lora", "r": 4}, "config_id": "1", "hidden_size": 16, "model_class": "X", "name": "a", "version": "adapters.1.0.1"},
    "mlx-lm": {"fine_tune_type": "lora", "num_layers": 4, "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0}},
    "config of a model": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8},
}


def configs_of_other_programs(folder):
    for phrase, config in CONFIGS.items():
        json.dump(config, open(folder + "/adapter_config.json", "w"))
        save_file(tensors("a"), folder + "/adapter_model.safetensors")
        refused(["CF-6", phrase], "verify", folder)
        refused(["CF-6", phrase], "config", "show", folder)
    json.dump({**CONFIG, "enable_lora": [True, False, True], "fan_in_fan_out": True}, open(folder + "/adapter_config.json", "w"))
    refused(["CF-23", "MergedLinear"], "verify", folder)
    json.dump({**CONFIG, "enable_lora": None, "merge_weights": False}, open(folder + "/adapter_config.json", "w"))
    assert "CF-23" not in run("verify", folder)[1]


FILES = {
    "text": (b"# An adapter\n\nSome words about it.\n", "a text file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    "gguf": (b"GGUF\x03\0\0\0" + bytes(60), "GGUF"),
    "onnx": (b"\x14\0\0\0TORT" + bytes(60), "ONNX"),
    "numpy": (b"\x93NUMPY\x01\0v\0" + b" " * 117 + b"\n", "NumPy"),
    "zip": (b"PK\x05\x06" + bytes(18), "zip"),
}


def other_files(folder):
    for name, (content, phrase) in FILES.items():
        file = f"{folder}/{name}"
        open(file, "wb").write(content)
        for command in (["inspect", file], ["verify", file], ["id", file], ["convert", file, "-o", folder + "/out"],
                        ["save", file, "-o", folder + "/out", "--config", with_config(folder)]):
            refused([phrase], *command)


def distributed_checkpoint(folder):
    import torch.distributed.checkpoint as dcp

    dcp.save(tensors("model.base_model.model.q_proj.lora_A.default.weight"), checkpoint_id=folder + "/pytorch_model_fsdp_0", no_dist=True)
    for place in (folder, folder + "/pytorch_model_fsdp_0"):
        refused(["DCP", "dcp_to_torch"], "verify", place)
        refused(["DCP"], "save", place, "-o", folder + "/out", "--config", with_config(tempfile.mkdtemp()))
        refused(["DCP"], "convert", place, "-o", folder + "/out")


def zero_checkpoint(folder):
    os.makedirs(folder + "/global_step10")
    open(folder + "/latest", "w").write("global_step10")
    open(folder + "/zero_to_fp32.py", "w").write("")
    torch.save({"module": tensors("base_model.model.q_proj.lora_A.default.weight", "base_model.model.q_proj.lora_B.default.weight"),
                "ds_version": "0.19.8", "args": argparse.Namespace(a=1)}, folder + "/global_step10/mp_rank_00_model_states.pt")
    torch.save({"optimizer_state_dict": {}}, folder + "/global_step10/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    refused(["DeepSpeed", "zero_to_fp32.py"], "verify", folder)
    refused(["DeepSpeed", "zero_to_fp32.py"], "save", folder, "-o", folder + "/out", "--config", with_config(tempfile.mkdtemp()))
    state = folder + "/global_step10/mp_rank_00_model_states.pt"
    refused(["DeepSpeed", "--key module"], "inspect", state)


def objects_beside_the_key(folder):
    """What Lightning and trainers keep beside the state dict is skipped, whatever its classes are."""
    lora = {"base_model.model.q_proj.lora_A.default.weight": torch.randn(2, 4), "base_model.model.q_proj.lora_B.default.weight": torch.randn(4, 2)}
    optimizer = torch.optim.AdamW([torch.nn.Parameter(tensor.clone()) for tensor in lora.values()])
    file = folder + "/last.ckpt"
    torch.save({"epoch": 1, "pytorch-lightning_version": "2.6.0", "state_dict": lora, "hyper_parameters": argparse.Namespace(rate=0.1),
                "optimizer_states": [optimizer.state_dict()], "callbacks": {"timer": {"limit": __import__("datetime").timedelta(1)}},
                "config": LoraConfig()}, file)
    refused(["Lightning", "--key state_dict"], "inspect", file)
    code, text = run("save", file, "-o", folder + "/ours", "--config", with_config(folder), "--key", "state_dict")
    assert code == 0, text
    from safetensors.torch import load_file
    written = load_file(folder + "/ours/adapter_model.safetensors")
    assert torch.equal(written["base_model.model.q_proj.lora_A.weight"], lora["base_model.model.q_proj.lora_A.default.weight"])
    # What is under the key is still held to the list.
    torch.save({"state_dict": {**lora, "extra": argparse.Namespace(a=1)}}, file)
    refused(["PK-16", "extra"], "save", file, "-o", folder + "/out", "--config", with_config(folder), "--key", "state_dict")


def training_run(folder):
    for step in (5, 20, 100):
        os.makedirs(f"{folder}/checkpoint-{step}")
    refused(["checkpoint-100"], "save", folder, "-o", folder + "/out", "--config", with_config(tempfile.mkdtemp()))
    refused(["checkpoint-100"], "convert", folder, "-o", folder + "/out")


def diffusers_lora(folder):
    from diffusers import UNet2DConditionModel
    from diffusers.loaders import StableDiffusionLoraLoaderMixin
    from peft.utils import get_peft_model_state_dict

    unet = UNet2DConditionModel(block_out_channels=(32, 64), layers_per_block=1, sample_size=8, cross_attention_dim=32,
                                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    StableDiffusionLoraLoaderMixin.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(unet))
    refused(["diffusers", "load_lora_weights"], "verify", folder)
    refused(["diffusers"], "convert", folder + "/pytorch_lora_weights.safetensors", "-o", folder + "/out")


def a_file_of_the_adapter(folder):
    with_config(folder)
    save_file(tensors("base_model.model.q_proj.lora_A.weight"), folder + "/adapter_model.safetensors")
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        refused(["give the directory"], "id", f"{folder}/{name}")


KINDS = [names_of_other_programs, configs_of_other_programs, other_files, distributed_checkpoint, zero_checkpoint,
         objects_beside_the_key, training_run, diffusers_lora, a_file_of_the_adapter]


def main():
    wanted = [kind for kind in KINDS if len(sys.argv) < 3 or sys.argv[2] in kind.__name__]
    failed = 0
    for kind in wanted:
        with tempfile.TemporaryDirectory() as folder:
            try:
                kind(folder)
            except Exception as error:
                failed += 1
                print(f"{kind.__name__}: {type(error).__name__}: {str(error)[:700]}")
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed or not wanted else 0


sys.exit(main())
