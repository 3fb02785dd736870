#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# Prompts of unequal length are padded on the left to be answered in one batch; the answers are those of one prompt at a time, with or without LoRA.
# With prompt tuning and p-tuning they are not. The virtual tokens are put before the padding, and the positions that were made for the padded
# prompt are thrown away, so a gap as wide as the padding opens between the virtual tokens and the text. In training, where padding comes last,
# there was none. Prefix tuning is right.
#
# Seen, relative difference of the first logits of a prompt of 8 tokens, alone and beside one of 12: Llama: LoRA 0.00, prompt tuning 0.97, p-tuning
# 0.64, prefix tuning 0.00; GPT-2: 0.00, 0.94, 0.85, 0.00.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None, "initializer_range": 0.3}


def make_llama():
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2, **ends))


def make_gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, **ends))


short = torch.tensor([[3, 4, 5, 6, 9, 10, 11, 12]])
both = torch.tensor([[0] * 4 + short[0].tolist(), list(range(20, 32))])
settings = {"max_new_tokens": 4, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
virtual = {"num_virtual_tokens": 6, "task_type": "CAUSAL_LM"}
for make_base in (make_llama, make_gpt2):
    for config in (LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"), PromptTuningConfig(**virtual),
                   PromptEncoderConfig(encoder_hidden_size=32, **virtual), PrefixTuningConfig(**virtual)):
        torch.manual_seed(0)
        model = get_peft_model(make_base(), config).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.5)
        alone = model.generate(input_ids=short, attention_mask=torch.ones_like(short), **settings).logits[0][0]
        padded = model.generate(input_ids=both, attention_mask=(both != 0).long(), **settings).logits[0][0]
        off = ((padded - alone).norm() / alone.norm()).item()
        print(f"{make_base.__name__} {type(config).__name__}: {off:.2f}")
        if isinstance(config, (PromptTuningConfig, PromptEncoderConfig)):
            assert off > 0.1, "padding no longer changes the answer"
        else:
            assert off < 1e-4, "padding changes the answer"
PYTHON
