# SPDX-License-Identifier: Apache-2.0
"""Saves adapters of live transformers models with PEFT and with the ferrule command, and compares.

usage: live_peft.py FERRULE

For each model and method: the weights files are equal to the bit (computed prompts to 1e-5), the configs are equal as
text once set-valued lists are sorted, ferrule verifies what PEFT wrote, and PEFT loads what ferrule wrote onto a
fresh base with every tensor in its place.
"""
import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import torch
import transformers
from peft import PeftModel, get_peft_model, get_peft_model_state_dict
import peft
from safetensors.torch import load_file, save_file

transformers.logging.set_verbosity_error()
FERRULE = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
T = transformers


def llama(**kw):
    return T.LlamaForCausalLM(T.LlamaConfig(vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32, **kw))


def gpt2(**kw):
    return T.GPT2LMHeadModel(T.GPT2Config(vocab_size=48, n_embd=32, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2, **kw))


def bert_cls():
    return T.BertForSequenceClassification(T.BertConfig(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=32, num_labels=3))


def roberta_tok():
    return T.RobertaForTokenClassification(T.RobertaConfig(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=34, num_labels=3))


def opt():
    return T.OPTForCausalLM(T.OPTConfig(vocab_size=48, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32, word_embed_proj_dim=32))


def t5():
    return T.T5ForConditionalGeneration(T.T5Config(vocab_size=48, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0))


def bart():
    return T.BartForConditionalGeneration(T.BartConfig(vocab_size=48, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1))


def mixtral():
    return T.MixtralForCausalLM(T.MixtralConfig(vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, num_local_experts=3, num_experts_per_tok=2, max_position_embeddings=32))


def qwen2():
    return T.Qwen2ForCausalLM(T.Qwen2Config(vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32, tie_word_embeddings=True))


def gpt_neox():
    return T.GPTNeoXForCausalLM(T.GPTNeoXConfig(vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32))


def bloom():
    return T.BloomForCausalLM(T.BloomConfig(vocab_size=48, hidden_size=32, n_layer=2, n_head=4))


def vit():
    return T.ViTForImageClassification(T.ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=8, num_labels=3))


def whisper():
    return T.WhisperForConditionalGeneration(T.WhisperConfig(vocab_size=48, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=16, max_target_positions=16, num_mel_bins=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1))


QV = dict(target_modules=["q_proj", "v_proj"])
P = peft
CASES = {
    "llama_lora": (llama, lambda: P.LoraConfig(r=4, **QV, task_type="CAUSAL_LM")),
    "llama_lora_all_linear": (llama, lambda: P.LoraConfig(r=4, target_modules="all-linear")),
    "llama_lora_regex_dora_rslora": (llama, lambda: P.LoraConfig(r=4, target_modules=r".*\.layers\.[01]\.self_attn\.(q|k)_proj", use_dora=True, use_rslora=True, rank_pattern={"layers.1.self_attn.q_proj": 2}, alpha_pattern={"k_proj": 3})),
    "llama_lora_bias_mts": (llama, lambda: P.LoraConfig(r=4, **QV, bias="all", modules_to_save=["lm_head", "norm"])),
    "llama_mts_absent": (llama, lambda: P.LoraConfig(r=4, **QV, modules_to_save=["classifier"])),
    "llama_lora_emb": (llama, lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "llama_tokens": (llama, lambda: P.LoraConfig(r=4, **QV, trainable_token_indices=[1, 5])),
    "llama_default_targets": (llama, lambda: P.LoraConfig(r=4)),
    "qwen2_tied_emb": (qwen2, lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "qwen2_tied_mts": (qwen2, lambda: P.LoraConfig(r=4, **QV, modules_to_save=["embed_tokens", "lm_head"])),
    "qwen2_tied_ensure": (qwen2, lambda: P.LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)),
    "qwen2_tied_tokens": (qwen2, lambda: P.LoraConfig(r=4, **QV, trainable_token_indices=[1, 5], ensure_weight_tying=True)),
    "qwen2_bias_only": (qwen2, lambda: P.LoraConfig(r=4, **QV, bias="lora_only")),
    "gpt2_lora": (gpt2, lambda: P.LoraConfig(r=4, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True, bias="all")),
    "gpt2_wte": (gpt2, lambda: P.LoraConfig(r=4, target_modules=["wte", "c_attn"], fan_in_fan_out=True)),
    "gpt2_vera": (gpt2, lambda: P.VeraConfig(r=4, target_modules=["c_attn"], fan_in_fan_out=True)),
    "gpt2_ia3": (gpt2, lambda: P.IA3Config(target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"], fan_in_fan_out=True)),
    "bert_cls": (bert_cls, lambda: P.LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS")),
    "bert_cls_bias": (bert_cls, lambda: P.LoraConfig(r=4, target_modules=["query"], task_type="SEQ_CLS", bias="all")),
    "roberta_tok": (roberta_tok, lambda: P.LoraConfig(r=4, target_modules=["query"], task_type="TOKEN_CLS")),
    "opt_lora": (opt, lambda: P.LoraConfig(r=4, **QV, bias="all", lora_bias=True)),
    "opt_ln": (opt, lambda: P.LNTuningConfig(target_modules=["self_attn_layer_norm", "final_layer_norm"])),
    "t5_lora": (t5, lambda: P.LoraConfig(r=4, target_modules=["q", "v", "wi"])),
    "t5_lora_emb": (t5, lambda: P.LoraConfig(r=4, target_modules=["q", "shared"])),
    "t5_seq2seq": (t5, lambda: P.LoraConfig(r=4, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM")),
    "t5_seq2seq_defaults_head": (t5, lambda: P.LoraConfig(r=4, task_type="SEQ_2_SEQ_LM", modules_to_save=["lm_head"])),
    "t5_ia3": (t5, lambda: P.IA3Config(task_type="SEQ_2_SEQ_LM")),
    "t5_prompt": (t5, lambda: P.PromptTuningConfig(num_virtual_tokens=4, task_type="SEQ_2_SEQ_LM")),
    "t5_prefix": (t5, lambda: P.PrefixTuningConfig(num_virtual_tokens=4, task_type="SEQ_2_SEQ_LM")),
    "t5_multitask": (t5, lambda: P.MultitaskPromptTuningConfig(num_virtual_tokens=4, num_tasks=2, num_ranks=1, task_type="SEQ_2_SEQ_LM")),
    "bart_seq2seq": (bart, lambda: P.LoraConfig(r=4, **QV, task_type="SEQ_2_SEQ_LM")),
    "bart_seq2seq_bias": (bart, lambda: P.LoraConfig(r=4, target_modules=["q_proj", "fc1"], bias="all", task_type="SEQ_2_SEQ_LM")),
    "bart_prompt": (bart, lambda: P.PromptTuningConfig(num_virtual_tokens=4, task_type="SEQ_2_SEQ_LM")),
    "bart_prefix": (bart, lambda: P.PrefixTuningConfig(num_virtual_tokens=4, task_type="SEQ_2_SEQ_LM")),
    "bart_p_tuning": (bart, lambda: P.PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=6, task_type="SEQ_2_SEQ_LM")),
    "mixtral_attn": (mixtral, lambda: P.LoraConfig(r=4, **QV)),
    "mixtral_experts": (mixtral, lambda: P.LoraConfig(r=2, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj", "experts.down_proj"])),
    "gpt_neox": (gpt_neox, lambda: P.LoraConfig(r=4, target_modules=["query_key_value"], modules_to_save=["lm_head"])),
    "bloom": (bloom, lambda: P.LoraConfig(r=4, target_modules=["query_key_value"], bias="lora_only")),
    "vit": (vit, lambda: P.LoraConfig(r=4, target_modules=r".*attention\.(q|k|v)_proj|.*attention\.attention\.(query|value)", modules_to_save=["classifier"])),
    "whisper": (whisper, lambda: P.LoraConfig(r=4, **QV)),
    "whisper_conv": (whisper, lambda: P.LoraConfig(r=4, target_modules=["conv1", "q_proj"])),
    "loha": (llama, lambda: P.LoHaConfig(r=4, **QV)),
    "lokr": (llama, lambda: P.LoKrConfig(r=2, decompose_both=True, **QV)),
    "oft": (llama, lambda: P.OFTConfig(r=0, oft_block_size=8, **QV)),
    "boft": (llama, lambda: P.BOFTConfig(boft_block_size=4, bias="boft_only", **QV)),
    "adalora": (llama, lambda: P.AdaLoraConfig(init_r=4, total_step=10, tinit=1, tfinal=1, **QV)),
    "hra": (llama, lambda: P.HRAConfig(r=4, **QV)),
    "vblora": (llama, lambda: P.VBLoRAConfig(r=2, vector_length=4, num_vectors=8, **QV)),
    "fourierft": (llama, lambda: P.FourierFTConfig(n_frequency=5, **QV)),
    "randlora": (llama, lambda: P.RandLoraConfig(r=4, **QV)),
    "trainable_tokens": (qwen2, lambda: P.TrainableTokensConfig(token_indices=[1, 3], target_modules=["embed_tokens"])),
    "prompt": (llama, lambda: P.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")),
    "prefix": (llama, lambda: P.PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")),
    "prefix_projection": (gpt2, lambda: P.PrefixTuningConfig(num_virtual_tokens=4, prefix_projection=True, encoder_hidden_size=6, task_type="CAUSAL_LM")),
    "p_tuning": (llama, lambda: P.PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=6, task_type="CAUSAL_LM")),
    "adaption_prompt": (llama, lambda: P.AdaptionPromptConfig(adapter_len=3, adapter_layers=2, task_type="CAUSAL_LM")),
}
COMPUTED = {"P_TUNING", "PREFIX_TUNING", "CPT", "VBLORA"}


def facts_of(model):
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    names = {id(module): name for name, module in base.named_modules()}

    def path_of(getter):
        try:
            module = getattr(base, getter)()
        except Exception:
            return None
        return None if module is None else names.get(id(module))

    return {"class": type(base).__name__, "module": type(base).__module__, "name_or_path": base.__dict__.get("name_or_path"), "is_transformers": True, "model_tags": list(getattr(base, "model_tags", None) or []), "config": json.loads(base.config.to_json_string(use_diff=False)), "modules": {n: type(m).__name__ for n, m in base.named_modules() if n}}


def state_with_aliases(model):
    """The state dict with shared tensors dropped and named in the metadata, as save_model does."""
    kept, metadata, by_memory = {}, {}, {}
    for name, tensor in model.state_dict().items():
        place = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)
        if tensor.numel() and place in by_memory:
            metadata[name] = by_memory[place]
        else:
            by_memory[place] = name
            kept[name] = tensor.detach().clone().contiguous()
    return kept, metadata


def config_text(path, sets):
    config = json.load(open(path))
    for field in sets:
        if isinstance(config.get(field), list):
            config[field] = sorted(config[field])
    return json.dumps(config, indent=2, sort_keys=True)


def randomise(model):
    torch.manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.requires_grad and tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape) * 0.1)


def run(*command):
    return subprocess.run([FERRULE, *command], capture_output=True, text=True)


def check(name, make, config, folder):
    torch.manual_seed(0)
    base = make()
    base.name_or_path = "tiny/" + name
    facts_before = {"input": None, "output": None}
    paths = {id(m): n for n, m in base.named_modules()}
    for key, getter in (("input", "get_input_embeddings"), ("output", "get_output_embeddings")):
        try:
            module = getattr(base, getter)()
            facts_before[key] = paths.get(id(module)) if module is not None else None
        except Exception:
            pass
    model = get_peft_model(base, config())
    randomise(model)
    live = model.peft_config["default"]
    before = live.to_dict()
    sets = [field for field, value in before.items() if isinstance(value, set)]
    before = {k: sorted(v) if isinstance(v, set) else v for k, v in before.items()}
    json.dump(before, open(folder + "/config.json", "w"), default=lambda v: getattr(v, "value", str(v)))
    facts = facts_of(model)
    facts["input_embeddings"], facts["output_embeddings"] = facts_before["input"], facts_before["output"]
    facts["modules"] = {paths[i]: None for i in paths if paths[i]}
    json.dump(facts, open(folder + "/facts.json", "w"), default=str)
    kept, metadata = state_with_aliases(model)
    save_file(kept, folder + "/state.safetensors", metadata=metadata)
    model.save_pretrained(folder + "/theirs")
    saved = run("save", folder + "/state.safetensors", "-o", folder + "/ours", "--config", folder + "/config.json", "--model", folder + "/facts.json")
    if saved.returncode != 0:
        return "ferrule save: exit %d: %s" % (saved.returncode, saved.stderr.strip()[-300:])
    ours, theirs = folder + "/ours/adapter_model.safetensors", folder + "/theirs/adapter_model.safetensors"
    if open(ours, "rb").read() != open(theirs, "rb").read():
        a, b = load_file(ours), load_file(theirs)
        # docs/differences.md: with bias="all" PEFT writes the copies of saved modules under stray names as well.
        strays = [k for k in b if ".original_module." in k or ".modules_to_save." in k]
        b = {k: v for k, v in b.items() if k not in strays}
        if set(a) != set(b):
            return "keys: lacking %s, too many %s" % (sorted(set(b) - set(a))[:4], sorted(set(a) - set(b))[:4])
        close = all(a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.allclose(a[k].float(), b[k].float(), atol=1e-5) for k in b)
        if not close or (str(live.peft_type.value) not in COMPUTED and not strays):
            return "the weights differ"
    if config_text(folder + "/theirs/adapter_config.json", sets) != open(folder + "/ours/adapter_config.json").read():
        x, y = json.load(open(folder + "/theirs/adapter_config.json")), json.load(open(folder + "/ours/adapter_config.json"))
        return "the configs differ in %s" % [(k, x.get(k), y.get(k)) for k in sorted(set(x) | set(y)) if x.get(k) != y.get(k)]
    for directory in ("/theirs", "/ours"):
        verified = run("verify", folder + directory)
        if verified.returncode != 0:
            return "ferrule verify %s: %s" % (directory, verified.stderr.strip()[-300:])
    torch.manual_seed(0)
    fresh = make()
    fresh.name_or_path = "tiny/" + name
    again = PeftModel.from_pretrained(fresh, folder + "/ours", adapter_name="again")
    got, want = get_peft_model_state_dict(again, adapter_name="again"), load_file(ours)
    lacking = [k for k in want if k not in got or not torch.equal(got[k].float(), want[k].float())]
    if lacking and str(live.peft_type.value) not in COMPUTED:
        return "PEFT did not load %s" % lacking[:3]
    return None


def main():
    failed = 0
    chosen = {name: case for name, case in CASES.items() if ONLY in name}
    for name, (make, config) in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                problem = check(name, make, config, folder)
            except Exception as error:  # A case that PEFT cannot build is a failure of the test, too.
                problem = "%s: %s" % (type(error).__name__, str(error)[:300])
        if problem:
            failed += 1
            print("%-28s %s" % (name, problem))
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    return 1 if failed or not chosen else 0


sys.exit(main())
