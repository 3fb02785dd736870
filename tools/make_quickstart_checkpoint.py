#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes examples/quickstart/: a small training checkpoint by real PEFT on a transformers model.

    make_quickstart_checkpoint.py [DIR]

A LlamaForCausalLM too small to be of use gets LoRA on four projections and a few steps of training;
what a trainer that knows nothing of adapters would keep is the whole state dict, base weights and
all. Versions: tools/requirements-test.txt.
"""

import pathlib
import sys

import peft
import safetensors.torch
import torch
import transformers


def build():
    torch.manual_seed(7)
    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128,
        tie_word_embeddings=True)
    base = transformers.LlamaForCausalLM(config)
    base.name_or_path = "ferrule-examples/tiny-llama"
    lora = peft.LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.05, task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    return peft.get_peft_model(base, lora)


def train(model) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    text = torch.tensor([list(b"a ferrule keeps the brush together. " * 3)])
    model.train()
    for _ in range(20):
        optimizer.zero_grad()
        model(input_ids=text, labels=text).loss.backward()
        optimizer.step()


def main() -> None:
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                          pathlib.Path(__file__).parent.parent / "examples" / "quickstart")
    checkpoint = folder / "checkpoint-20"
    checkpoint.mkdir(parents=True, exist_ok=True)
    model = build()
    train(model)
    # save_model leaves one of two tied tensors out and notes so in the file's metadata.
    safetensors.torch.save_model(model, str(checkpoint / "model.safetensors"), metadata={"format": "pt"})
    model.peft_config["default"].save_pretrained(str(folder))
    print(f"wrote {folder}: peft {peft.__version__}, transformers {transformers.__version__}, "
          f"torch {torch.__version__}, safetensors {safetensors.__version__}")


if __name__ == "__main__":
    main()
