#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# peft 0.21.2, transformers 5.23.0, torch 2.13.0, seen 2026-11-29.
#
# An activated LoRA (alora_invocation_tokens) acts from its invocation tokens on and leaves what comes before to the base, whose cache can be
# shared. generate() finds the place once, as a number of tokens from the end of the prompt, and gives that to every forward pass. With
# use_cache=False the sequence grows and the number does not, so with each new token the adapter lets go of one at the front, the invocation first.
# With prefill_chunk_size it acts on the end of each chunk, long before the invocation. Both give other texts than forward() and the usual cache, in
# which the model was trained.
#
# Seen, relative difference of the logits to those of forward(): with the cache 0.00 at all steps; use_cache=False 0.00 at the first token, 0.77 at
# the second, 1.80 at the tenth; prefill_chunk_size=4 1.73 at the first. Without the adapter 0.00 in all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$work/env/bin/python" - <<'PYTHON'
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
base = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                                    num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=None))
model = get_peft_model(base, LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM",
                                        alora_invocation_tokens=[7, 8])).eval()
torch.manual_seed(1)
for parameter in model.parameters():
    if parameter.requires_grad:
        torch.nn.init.normal_(parameter, std=0.5)
prompt = torch.tensor([[3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 7, 8, 20, 21]])
settings = {"max_new_tokens": 10, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}


def by_forward():
    sequence, logits = prompt, []
    with torch.no_grad():
        for _ in range(10):
            logits.append(model(input_ids=sequence).logits[:, -1])
            sequence = torch.cat([sequence, logits[-1].argmax(-1, keepdim=True)], 1)
    return logits


def off(logits, right):
    return [((some - other).norm() / other.norm()).item() for some, other in zip(logits, right)]


def compare():
    right = by_forward()
    return [off(model.generate(input_ids=prompt, **settings, **how).logits, right) for how in ({}, {"use_cache": False}, {"prefill_chunk_size": 4})]


cached, uncached, chunked = compare()
with model.disable_adapter():
    plain = compare()
print("with the cache at most {:.2f}; use_cache=False {:.2f}, {:.2f}, tenth {:.2f}; chunks {:.2f}; without the adapter at most {:.2f}".format(
    max(cached), uncached[0], uncached[1], uncached[9], chunked[0], max(max(some) for some in plain)))
assert max(cached) < 1e-4 and max(max(some) for some in plain) < 1e-4, "the usual cache differs, too"
assert uncached[1] > 0.1 and chunked[0] > 0.1, "the adapter acts on the right tokens now"
PYTHON
