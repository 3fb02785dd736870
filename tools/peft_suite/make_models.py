#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills a Hugging Face cache with small random models under the names that PEFT's tests ask for.

    make_models.py HOME
"""

import os
import sys
from pathlib import Path

HOME = Path(sys.argv[1])
os.environ.update(HF_HOME=str(HOME), HF_HUB_OFFLINE="1")

import peft
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

REVISION = "0" * 40
WORDS = ("<pad> <s> </s> <unk> <mask> a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 . , ! ? - "
         "hello world this is test the of and to in classify if sentiment positive negative or Hello I you").split()

IDS = dict(bos_token_id=1, eos_token_id=2)
LLAMA = dict(vocab_size=1000, hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=4, max_position_embeddings=512, **IDS)
MOE = {**LLAMA, "intermediate_size": 32, "num_key_value_heads": 2, "head_dim": 4, "num_local_experts": 4,
       "pad_token_id": 0}
GPT2 = dict(vocab_size=1000, n_embd=32, n_layer=5, n_head=4, n_positions=512, **IDS)
OPT = dict(vocab_size=1000, hidden_size=16, word_embed_proj_dim=16, num_attention_heads=4, num_hidden_layers=5,
           ffn_dim=4, max_position_embeddings=100)
OPT_125M = dict(vocab_size=50272, hidden_size=48, word_embed_proj_dim=48, num_attention_heads=12,
                num_hidden_layers=12, ffn_dim=96, max_position_embeddings=512)
BERT = dict(vocab_size=1000, hidden_size=32, num_hidden_layers=5, num_attention_heads=4, intermediate_size=37,
            max_position_embeddings=512)
T5 = dict(vocab_size=1000, d_model=32, d_ff=37, d_kv=8, num_layers=5, num_heads=4, decoder_start_token_id=0,
          pad_token_id=0, eos_token_id=2)
BART = dict(vocab_size=1000, d_model=16, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=4, decoder_ffn_dim=4,
            encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=100)

PEFT, HF, TRL = "peft-internal-testing/", "hf-internal-testing/", "trl-internal-testing/"

#: (names, class of the model, class of its config, its fields)
MODELS = [
    ([PEFT + "tiny-random-OPTForCausalLM", HF + "tiny-random-OPTForCausalLM"], "OPTForCausalLM", "OPTConfig", OPT),
    ([PEFT + "opt-125m", "facebook/opt-125m"], "OPTForCausalLM", "OPTConfig", OPT_125M),
    ([PEFT + "tiny-random-GPT2LMHeadModel", HF + "tiny-random-gpt2", PEFT + "tiny-random-gpt2",
      HF + "tiny-random-GPT2LMHeadModel"], "GPT2LMHeadModel", "GPT2Config", GPT2),
    ([PEFT + "tiny-random-GPTJForCausalLM"], "GPTJForCausalLM", "GPTJConfig", {**GPT2, "rotary_dim": 4}),
    ([owner + "tiny-random-LlamaForCausalLM" for owner in (TRL, PEFT, HF)], "LlamaForCausalLM", "LlamaConfig", LLAMA),
    ([PEFT + "tiny-dummy-qwen2"], "Qwen2ForCausalLM", "Qwen2Config",
     {**LLAMA, "hidden_size": 8, "num_key_value_heads": 2}),
    ([HF + "tiny-random-MistralForCausalLM"], "MistralForCausalLM", "MistralConfig",
     {**LLAMA, "hidden_size": 32, "num_key_value_heads": 2}),
    ([HF + "tiny-random-Gemma3ForCausalLM"], "Gemma3ForCausalLM", "Gemma3TextConfig",
     {**LLAMA, "head_dim": 8, "sliding_window": 16}),
    ([PEFT + "tiny-random-BloomForCausalLM"], "BloomForCausalLM", "BloomConfig",
     dict(vocab_size=1000, hidden_size=32, n_layer=5, n_head=4)),
    ([PEFT + "tiny-random-T5ForConditionalGeneration-calibrated", PEFT + "tiny-random-t5"],
     "T5ForConditionalGeneration", "T5Config", T5),
    ([PEFT + "tiny-random-BartForConditionalGeneration"], "BartForConditionalGeneration", "BartConfig", BART),
    ([PEFT + "tiny-random-BertModel"], "BertModel", "BertConfig", BERT),
    ([PEFT + "tiny-random-RobertaModel"], "RobertaModel", "RobertaConfig", {**BERT, "pad_token_id": 1}),
    ([PEFT + "tiny-random-DebertaModel"], "DebertaModel", "DebertaConfig", BERT),
    ([PEFT + "tiny-random-DebertaV2Model"], "DebertaV2Model", "DebertaV2Config", BERT),
    ([PEFT + "tiny-random-BertForSequenceClassification"], "BertForSequenceClassification", "BertConfig", BERT),
    ([PEFT + "tiny-random-RobertaForSequenceClassification"], "RobertaForSequenceClassification", "RobertaConfig",
     {**BERT, "pad_token_id": 1}),
    ([TRL + "tiny-LlamaForSequenceClassification-3.2"], "LlamaForSequenceClassification", "LlamaConfig",
     {**LLAMA, "pad_token_id": 0}),
    ([HF + "Mixtral-tiny"], "MixtralForCausalLM", "MixtralConfig",
     {**LLAMA, "hidden_size": 32, "num_local_experts": 4}),
    ([TRL + "tiny-Qwen3MoeForCausalLM"], "Qwen3MoeForCausalLM", "Qwen3MoeConfig",
     {**LLAMA, "num_experts": 4, "moe_intermediate_size": 32, "head_dim": 4, "num_key_value_heads": 2}),
    ([TRL + "tiny-Llama4ForCausalLM"], "Llama4ForCausalLM", "Llama4TextConfig", {**MOE, "intermediate_size_mlp": 32}),
    ([TRL + "tiny-GptOssForCausalLM"], "GptOssForCausalLM", "GptOssConfig", MOE),
]

#: (name, class of AutoModel, base, task, targets, folder below, revisions beside main)
ADAPTERS = [
    (PEFT + "tiny-opt-lora-revision", "AutoModelForCausalLM", MODELS[0][0][0], "CAUSAL_LM", "qv", "", ["test"]),
    (PEFT + "tiny-OPTForCausalLM-lora", "AutoModelForCausalLM", MODELS[0][0][0], "CAUSAL_LM", "qv", "", []),
    (PEFT + "tiny_OPTForSequenceClassification-lora", "AutoModelForSequenceClassification", MODELS[0][0][0], "SEQ_CLS",
     "qv", "", []),
    (PEFT + "tiny_OPTForQuestionAnswering-lora", "AutoModelForQuestionAnswering", MODELS[0][0][0], "QUESTION_ANS",
     "qv", "", []),
    (PEFT + "tiny_OPTForFeatureExtraction-lora", "AutoModel", MODELS[0][0][0], "FEATURE_EXTRACTION", "qv", "", []),
    (PEFT + "tiny_GPT2ForTokenClassification-lora", "AutoModelForTokenClassification", MODELS[2][0][0], "TOKEN_CLS",
     "c_attn", "", []),
    (PEFT + "gpt2-lora-random", "AutoModelForCausalLM", MODELS[2][0][2], "CAUSAL_LM", "c_attn", "", []),
    (PEFT + "opt-125m-dummy-lora", "AutoModelForCausalLM", MODELS[1][0][0], "CAUSAL_LM", "qv", "", []),
    (PEFT + "test-lora-subfolder", "AutoModelForCausalLM", MODELS[0][0][0], "CAUSAL_LM", "qv", "test", []),
]
TARGETS = {"qv": ["q_proj", "v_proj"], "c_attn": ["c_attn"]}


def snapshot(name, revisions=("main",)):
    """The folder in which the cache keeps that repository."""
    repository = HOME / "hub" / ("models--" + name.replace("/", "--"))
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    for revision in revisions:
        (repository / "refs" / revision).write_text(REVISION)
    folder = repository / "snapshots" / REVISION
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_tokenizer(folder):
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        mask_token="<mask>", model_max_length=100).save_pretrained(folder)


def main():
    torch.manual_seed(0)
    for names, kind, config, fields in MODELS:
        for name in names:
            model = getattr(transformers, kind)(getattr(transformers, config)(**fields))
            model.save_pretrained(snapshot(name))
            save_tokenizer(snapshot(name))
    for name, kind, base, task, targets, below, revisions in ADAPTERS:
        model = getattr(transformers, kind).from_pretrained(base)
        config = peft.LoraConfig(task_type=task, target_modules=TARGETS[targets], init_lora_weights=False,
                                 fan_in_fan_out=targets == "c_attn", base_model_name_or_path=base)
        peft.get_peft_model(model, config).save_pretrained(snapshot(name, ["main", *revisions]) / below)


if __name__ == "__main__":
    main()
