#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# T5, BART, mBART, Pegasus and Marian keep one embedding, `shared`, for the encoder, the decoder and the head, and train it under that name with
# modules_to_save=["shared"] when tokens are added. In transformers 5 no forward pass goes through that module: encoder.embed_tokens,
# decoder.embed_tokens and the head are modules of their own with its weight. The trainable copy gets no gradient at all, and so does LoRA on
# `shared`; optimizers skip it in silence, and the saved adapter carries the untouched embedding. ensure_weight_tying changes nothing.
# trainable_token_indices reaches all of them.
#
# Seen: gradient of shared is None for modules_to_save, with ensure_weight_tying, and for LoRA, in all five; present for trainable tokens.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import warnings

import torch
import transformers
from peft import LoraConfig, get_peft_model

warnings.simplefilter("ignore")
IDS = torch.tensor([[3, 4, 5]])
T5 = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
BART = {"vocab_size": 32, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 32, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1,
        "decoder_start_token_id": 2, "forced_eos_token_id": None}
FAMILIES = {"T5ForConditionalGeneration": T5, "BartForConditionalGeneration": BART, "MBartForConditionalGeneration": BART,
            "PegasusForConditionalGeneration": BART, "MarianMTModel": BART}
WAYS = {"modules_to_save": {"modules_to_save": ["shared"]}, "tied": {"modules_to_save": ["shared"], "ensure_weight_tying": True},
        "LoRA": {"target_modules": ["q", "q_proj", "shared"]}, "tokens": {"trainable_token_indices": [3, 4]}}


def has_gradient(name, settings):
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    base = kind(kind.config_class(**FAMILIES[name]))
    model = get_peft_model(base, LoraConfig(**{"r": 2, "target_modules": ["q", "q_proj"], "init_lora_weights": False, **settings}))
    model(input_ids=IDS, labels=IDS).loss.backward()
    trained = [parameter for key, parameter in model.named_parameters() if parameter.requires_grad and ("shared" in key or "token" in key)]
    assert trained, "nothing of the embedding is trainable"
    return any(parameter.grad is not None for parameter in trained)


for name in FAMILIES:
    seen = {way: has_gradient(name, settings) for way, settings in WAYS.items()}
    print(name, seen)
    assert seen == {"modules_to_save": False, "tied": False, "LoRA": False, "tokens": True}, "the shared embedding is trained otherwise"
PYTHON
