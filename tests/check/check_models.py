# SPDX-License-Identifier: Apache-2.0
"""Tiny random models of many architectures, for the tests of check and fix."""
import os
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import peft as P
import transformers as T

T.logging.set_verbosity_error()
T.logging.disable_progress_bar()

DECODER = dict(vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32)
GQA = dict(DECODER, num_key_value_heads=2)
MOE = dict(GQA, moe_intermediate_size=40, num_experts=3, num_experts_per_tok=2, decoder_sparse_step=1, head_dim=8)
BERT = dict(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=32)
VISION = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=8)


def llava():
    vision = T.CLIPVisionConfig(**VISION, projection_dim=32)
    return T.LlavaForConditionalGeneration(T.LlavaConfig(vision_config=vision, text_config=T.LlamaConfig(**GQA), image_token_index=47))


def qwen2_vl():
    text = dict(DECODER, num_key_value_heads=2, rope_scaling={"type": "mrope", "mrope_section": [1, 1, 2]})
    vision = dict(depth=2, embed_dim=32, hidden_size=32, num_heads=4, mlp_ratio=2, patch_size=8)
    return T.Qwen2VLForConditionalGeneration(T.Qwen2VLConfig(text_config=text, vision_config=vision, image_token_id=45, video_token_id=46, vision_start_token_id=43, vision_end_token_id=44))


def whisper():
    return T.WhisperForConditionalGeneration(T.WhisperConfig(vocab_size=48, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=16, max_target_positions=16, num_mel_bins=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1))


MODELS = {
    "llama": lambda: T.LlamaForCausalLM(T.LlamaConfig(**GQA)),
    "mistral": lambda: T.MistralForCausalLM(T.MistralConfig(**GQA)),
    "qwen2": lambda: T.Qwen2ForCausalLM(T.Qwen2Config(**GQA, tie_word_embeddings=True)),
    "qwen3_moe": lambda: T.Qwen3MoeForCausalLM(T.Qwen3MoeConfig(**MOE)),
    "mixtral": lambda: T.MixtralForCausalLM(T.MixtralConfig(**GQA, num_local_experts=3, num_experts_per_tok=2)),
    "gemma": lambda: T.GemmaForCausalLM(T.GemmaConfig(**GQA, head_dim=8)),
    "phi": lambda: T.PhiForCausalLM(T.PhiConfig(**DECODER)),
    "gpt2": lambda: T.GPT2LMHeadModel(T.GPT2Config(vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2)),
    "gpt_neox": lambda: T.GPTNeoXForCausalLM(T.GPTNeoXConfig(**DECODER)),
    "bloom": lambda: T.BloomForCausalLM(T.BloomConfig(vocab_size=48, hidden_size=32, n_layer=2, n_head=4)),
    "opt": lambda: T.OPTForCausalLM(T.OPTConfig(vocab_size=48, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32, word_embed_proj_dim=32)),
    "gpt_oss": lambda: T.GptOssForCausalLM(T.GptOssConfig(**GQA, num_local_experts=3, num_experts_per_tok=2, head_dim=8)),
    "bert_mlm": lambda: T.BertForMaskedLM(T.BertConfig(**BERT)),
    "bert_cls": lambda: T.BertForSequenceClassification(T.BertConfig(**BERT, num_labels=3)),
    "vit": lambda: T.ViTForImageClassification(T.ViTConfig(**VISION, num_labels=3)),
    "t5": lambda: T.T5ForConditionalGeneration(T.T5Config(vocab_size=48, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0)),
    "whisper": whisper,
    "llava": llava,
    "qwen2_vl": qwen2_vl,
}

QV = dict(target_modules=["q_proj", "v_proj"])
ATT = dict(target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])

# name: (model, config). Every one of them must come out ok, N of N.
PAIRS = {
    "llama": ("llama", lambda: P.LoraConfig(r=4, **ATT, task_type="CAUSAL_LM")),
    "llama_all_linear": ("llama", lambda: P.LoraConfig(r=4, target_modules="all-linear")),
    "llama_regex": ("llama", lambda: P.LoraConfig(r=4, target_modules=r".*\.layers\.[01]\.self_attn\.(q|k)_proj", use_dora=True, use_rslora=True, rank_pattern={"layers.1.self_attn.q_proj": 2})),
    "llama_head": ("llama", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "llama_saved": ("llama", lambda: P.LoraConfig(r=4, **QV, modules_to_save=["lm_head", "norm"])),
    "llama_bias": ("opt", lambda: P.LoraConfig(r=4, **QV, bias="all", lora_bias=True)),
    "llama_tokens": ("llama", lambda: P.LoraConfig(r=4, **QV, trainable_token_indices=[1, 5])),
    "llama_layers": ("llama", lambda: P.LoraConfig(r=4, **QV, layers_to_transform=[1])),
    "llama_exclude": ("llama", lambda: P.LoraConfig(r=4, **QV, exclude_modules=["model.layers.0.self_attn.q_proj"])),
    "llama_replicated": ("llama", lambda: P.LoraConfig(r=4, **QV, layer_replication=[[0, 2], [1, 2]])),
    "mistral": ("mistral", lambda: P.LoraConfig(r=4, target_modules=["gate_proj", "down_proj"])),
    "qwen2_tied": ("qwen2", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "qwen2_tied_saved": ("qwen2", lambda: P.LoraConfig(r=4, **QV, modules_to_save=["embed_tokens", "lm_head"])),
    "qwen2_ensure": ("qwen2", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)),
    "qwen3_moe": ("qwen3_moe", lambda: P.LoraConfig(r=2, **ATT)),
    "qwen3_moe_experts": ("qwen3_moe", lambda: P.LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj", "experts.down_proj"])),
    "mixtral": ("mixtral", lambda: P.LoraConfig(r=2, **QV)),
    "mixtral_experts": ("mixtral", lambda: P.LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "gate.weight"])),
    "gpt_oss_experts": ("gpt_oss", lambda: P.LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj", "experts.down_proj"])),
    "gemma": ("gemma", lambda: P.LoraConfig(r=4, **ATT)),
    "phi": ("phi", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "dense", "fc1", "fc2"])),
    "gpt2": ("gpt2", lambda: P.LoraConfig(r=4, target_modules=["c_attn", "c_fc", "c_proj"], fan_in_fan_out=True)),
    "gpt2_wte": ("gpt2", lambda: P.LoraConfig(r=4, target_modules=["wte", "c_attn", "lm_head"], fan_in_fan_out=True)),
    "gpt_neox": ("gpt_neox", lambda: P.LoraConfig(r=4, target_modules=["query_key_value", "dense_h_to_4h"], modules_to_save=["lm_head"])),
    "bloom": ("bloom", lambda: P.LoraConfig(r=4, target_modules=["query_key_value"])),
    "opt": ("opt", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "fc1"])),
    "bert_mlm": ("bert_mlm", lambda: P.LoraConfig(r=4, target_modules=["query", "dense"])),
    "bert_cls": ("bert_cls", lambda: P.LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS")),
    "vit": ("vit", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "o_proj", "fc1"], modules_to_save=["classifier"])),
    "t5": ("t5", lambda: P.LoraConfig(r=4, target_modules=["q", "v", "wi", "shared"])),
    "whisper": ("whisper", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "fc1", "conv1"])),
    "llava": ("llava", lambda: P.LoraConfig(r=4, **QV)),
    "qwen2_vl": ("qwen2_vl", lambda: P.LoraConfig(r=4, target_modules=["q_proj", "qkv"])),
    "loha": ("llama", lambda: P.LoHaConfig(r=4, **QV)),
    "lokr": ("llama", lambda: P.LoKrConfig(r=2, decompose_both=True, **QV)),
    "oft": ("llama", lambda: P.OFTConfig(r=0, oft_block_size=8, **QV)),
    "boft": ("llama", lambda: P.BOFTConfig(boft_block_size=4, **QV)),
    "adalora": ("llama", lambda: P.AdaLoraConfig(init_r=4, total_step=10, tinit=1, tfinal=1, **QV)),
    "ia3": ("llama", lambda: P.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])),
    "gpt2_ia3": ("gpt2", lambda: P.IA3Config(target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"], fan_in_fan_out=True)),
    "vera": ("llama", lambda: P.VeraConfig(r=4, **QV)),
    "hra": ("llama", lambda: P.HRAConfig(r=4, **QV)),
    "vblora": ("llama", lambda: P.VBLoRAConfig(r=2, vector_length=4, num_vectors=8, **QV)),
    "fourierft": ("llama", lambda: P.FourierFTConfig(n_frequency=5, **QV)),
    "randlora": ("llama", lambda: P.RandLoraConfig(r=4, **QV)),
    "ln_tuning": ("opt", lambda: P.LNTuningConfig(target_modules=["self_attn_layer_norm", "final_layer_norm"])),
    "trainable_tokens": ("qwen2", lambda: P.TrainableTokensConfig(token_indices=[1, 3], target_modules=["embed_tokens"])),
    "prompt": ("llama", lambda: P.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")),
    "prefix": ("llama", lambda: P.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")),
    "adaption_prompt": ("llama", lambda: P.AdaptionPromptConfig(adapter_len=3, adapter_layers=2, task_type="CAUSAL_LM")),
    "miss": ("llama", lambda: P.MissConfig(r=4, **QV)),
    "hira": ("llama", lambda: P.HiraConfig(r=4, target_modules=["q_proj", "embed_tokens"])),
    "shira": ("llama", lambda: P.ShiraConfig(r=2, **QV)),
    "c3a": ("llama", lambda: P.C3AConfig(block_size=8, **QV)),
    "delora": ("llama", lambda: P.DeloraConfig(r=4, **QV)),
    "gralora": ("llama", lambda: P.GraloraConfig(r=4, gralora_k=2, **QV)),
    "road": ("llama", lambda: P.RoadConfig(group_size=8, **QV)),
    "poly": ("llama", lambda: P.PolyConfig(r=4, n_tasks=2, n_skills=2, n_splits=2, **QV)),
    "waveft": ("llama", lambda: P.WaveFTConfig(n_frequency=5, **QV)),
    "osf": ("llama", lambda: P.OSFConfig(effective_rank=4, **QV)),
    "pvera": ("llama", lambda: P.PveraConfig(r=4, **QV)),
    "tinylora": ("llama", lambda: P.TinyLoraConfig(r=2, u=3, **QV)),
    "glora": ("llama", lambda: P.GloraConfig(r=4, **QV)),
    "lily": ("llama", lambda: P.LilyConfig(r=4, **QV)),
    "psoft": ("llama", lambda: P.PsoftConfig(r=4, **QV)),
    "peanut": ("llama", lambda: P.PeanutConfig(r=4, **QV)),
    "deft": ("llama", lambda: P.DeftConfig(r=4, **QV)),
    "beft": ("llama", lambda: P.BeftConfig(**QV)),
    "supertuning": ("llama", lambda: P.SupertuningConfig(r=2, **QV)),
}
