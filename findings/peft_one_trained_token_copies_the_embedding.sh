#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# trainable_token_indices trains and saves a few rows of the embedding, which makes a small file. The work is not small: each forward pass copies
# the whole embedding to put the rows in, once more where the head is tied to it, and the backward pass makes a dense gradient of all words, from
# the head another. That is more than training the whole embedding takes. Answering copies it for every generated token until merged. For 128,256
# words of 4096 in bfloat16 each such tensor has 1 GB. Counted, not timed.
#
# Seen, tensors as large as the embedding in one training step / in one answer: LoRA alone 0 / 0; one token 2 / 1, with a tied head 4 / 2; whole
# embedding in modules_to_save 1 / 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaConfig, LlamaForCausalLM

WORDS, WIDTH = 50000, 32


class Large(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        leaves = torch.utils._pytree.tree_leaves((arguments, keywords))
        given = {leaf.untyped_storage().data_ptr() for leaf in leaves if isinstance(leaf, torch.Tensor)}
        for leaf in torch.utils._pytree.tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.numel() >= WORDS * WIDTH and leaf.untyped_storage().data_ptr() not in given:
                self.made.append(str(function).split(".")[1])
        return result


def measure(tied, **settings):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                                         num_key_value_heads=2, tie_word_embeddings=tied))
    model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj"], **settings))
    batch = torch.arange(8).view(1, 8)
    with Large() as training:
        model(input_ids=batch).logits.mean().backward()
    model.eval()
    with torch.no_grad(), Large() as answering:
        model(input_ids=batch)
    return training.made, answering.made


for name, tied, settings, seen in (("LoRA", False, {}, (0, 0)), ("one token", False, {"trainable_token_indices": [7]}, (2, 1)),
                                   ("one token, tied head", True, {"trainable_token_indices": [7]}, (4, 2)),
                                   ("whole embedding", False, {"modules_to_save": ["embed_tokens"]}, (1, 0))):
    training, answering = measure(tied, **settings)
    print(f"{name}: tensors as large as the embedding in one training step {training}, in one answer {answering}")
    assert (len(training), len(answering)) == seen, "other tensors are made now"
PYTHON
