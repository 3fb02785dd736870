# SPDX-License-Identifier: Apache-2.0
"""Small models, adapters with random weights, and what PEFT makes of the two: for merge_peft.py."""
import copy
import os
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.filterwarnings("ignore")
import peft
import torch
import transformers
from peft import PeftModel, get_peft_model
from safetensors.torch import save_file

transformers.logging.set_verbosity_error()
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class Convs(torch.nn.Module):
    """Every kind of layer that is no part of a language model."""

    def __init__(self):
        super().__init__()
        self.c1 = torch.nn.Conv1d(7, 6, 3)
        self.c2 = torch.nn.Conv2d(7, 6, (3, 3))
        self.c2p = torch.nn.Conv2d(8, 6, 1)
        self.c2g = torch.nn.Conv2d(8, 8, 3, groups=4)
        self.c3 = torch.nn.Conv3d(4, 9, 3)
        self.emb = torch.nn.Embedding(23, 20)
        self.lin = torch.nn.Linear(20, 15)
        self.mha = torch.nn.MultiheadAttention(8, 2)
        self.tc = transformers.pytorch_utils.Conv1D(24, 11)
        self.ln = torch.nn.LayerNorm(20)


def small(kind, **more):
    sizes = {"vocab_size": 53, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32}
    config = getattr(transformers, kind + "Config")(**{**sizes, **more})
    return getattr(transformers, kind + "ForCausalLM")(config)


T5 = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 1, "num_heads": 4, "vocab_size": 53}
BART = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "vocab_size": 53, "max_position_embeddings": 32,
        "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2}
# Models with an encoder and a decoder, whose head and two embeddings share one tensor.
SEQ2SEQ = {"T5": T5, "MT5": T5, "UMT5": T5, "LongT5": T5,
           "SwitchTransformers": {**T5, "num_experts": 2, "expert_capacity": 64, "num_sparse_encoder_layers": 0,
                                  "num_sparse_decoder_layers": 0},
           "Bart": BART, "MBart": BART, "Pegasus": BART, "M2M100": BART, "Marian": {**BART, "pad_token_id": 52},
           "PLBart": BART}


def seq2seq(name):
    config = getattr(transformers, name + "Config")(**SEQ2SEQ[name])
    head = "MTModel" if name == "Marian" else "ForConditionalGeneration"
    return getattr(transformers, name + head)(config)


def make_model(name):
    if name == "llama":
        return small("Llama", tie_word_embeddings=False)
    if name == "llama_bias":
        return small("Llama", tie_word_embeddings=False, attention_bias=True, mlp_bias=True)
    if name == "qwen2":
        return small("Qwen2", tie_word_embeddings=True)
    if name == "mixtral":
        return small("Mixtral", num_local_experts=3, num_experts_per_tok=2)
    if name == "opt":
        return transformers.OPTForCausalLM(transformers.OPTConfig(
            vocab_size=53, hidden_size=24, ffn_dim=40, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=32, word_embed_proj_dim=24))
    if name == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=53, n_embd=24, n_layer=2, n_head=4, n_positions=32, bos_token_id=1, eos_token_id=2))
    if name == "gptj":
        return transformers.GPTJForCausalLM(transformers.GPTJConfig(
            vocab_size=53, n_embd=24, n_layer=2, n_head=4, n_positions=32, rotary_dim=4))
    if name == "bert":
        return transformers.BertForSequenceClassification(transformers.BertConfig(
            vocab_size=53, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=16, num_labels=3))
    if name in SEQ2SEQ:
        return seq2seq(name)
    if name == "inkling2":  # Its files have the rows of gate and up in turns.
        return transformers.Inkling2ForCausalLM(transformers.Inkling2TextConfig(
            vocab_size=53, unpadded_vocab_size=53, hidden_size=24, moe_intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1, head_dim=8, swa_num_attention_heads=2, swa_num_key_value_heads=1,
            swa_head_dim=8, d_rel=8, rel_extent=16, n_routed_experts=3, num_experts_per_tok=2, max_position_embeddings=32,
            layer_types=["hybrid_sliding"]))
    if name == "convs":
        return Convs()
    raise ValueError(name)


def spread(module):
    """Biases and norms are not left at zero and one: what is done to them must show."""
    for parameter in module.parameters():
        if parameter.dim() == 1:
            parameter.data = torch.randn_like(parameter) * 0.3 + 1
    return module


def save_base(model, folder, shards=False):
    if isinstance(model, transformers.PreTrainedModel):
        model.save_pretrained(folder, **({"max_shard_size": "9KB"} if shards else {}))
        return
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder + "/model.safetensors",
              metadata={"format": "pt"})
    with open(folder + "/config.json", "w", encoding="utf-8") as f:
        f.write('{"architectures": ["Convs"], "model_type": "toy"}')


def randomize(model, seed=1, size=0.2):
    """Every tensor of the adapter gets values of its own: no factor stays zero, no scale one."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data = parameter.data + torch.randn_like(parameter) * size


def make_adapter(base, config, folder, seed=1, size=0.2):
    model = get_peft_model(copy.deepcopy(base), config)
    randomize(model, seed, size)
    model.save_pretrained(folder)


def merged(base, folder, weights=(1.0,)):
    """What PEFT makes: the adapters one after the other."""
    folders = [folder] if isinstance(folder, str) else folder
    model = copy.deepcopy(base)
    for path, weight in zip(folders, list(weights) + [1.0] * len(folders)):
        model = PeftModel.from_pretrained(model, path)
        if weight != 1:
            for module in model.modules():
                if isinstance(module, peft.tuners.lora.LoraLayer) and "default" in module.scaling:
                    module.scaling["default"] *= weight
        model = model.merge_and_unload()
    return model


def plain_names(state):
    """Without what PEFT leaves around some modules."""
    out = {}
    for name, tensor in state.items():
        if ".original_module." in name:
            continue
        out[name.replace(".modules_to_save.default", "").replace(".base_layer", "")] = tensor
    return out
