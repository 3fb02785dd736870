# SPDX-License-Identifier: Apache-2.0
"""Small random models, and a config of every method that fits them."""

import json
import os

# Nothing here may ask the network; what would is an error, not a wait.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft
import pytest
import torch
import transformers

import ferrule.peft


@pytest.fixture(autouse=True)
def clean():
    """For test modules to import: each test starts from the same numbers and from PEFT as it is."""
    torch.manual_seed(0)
    yield
    ferrule.peft.unpatch()


class Tokens(torch.utils.data.Dataset):
    """Eight texts, for a Trainer."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        ids = torch.arange(8) + index
        return {"input_ids": ids, "labels": ids}


def llama(**changes):
    sizes = dict(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=4, max_position_embeddings=64)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**{**sizes, **changes}))


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=4,
                                                                n_positions=64))


def classifier():
    return transformers.LlamaForSequenceClassification(transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=4, pad_token_id=0))


class Mlp(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin0 = torch.nn.Linear(8, 12)
        self.lin1 = torch.nn.Linear(12, 12)
        self.emb = torch.nn.Embedding(10, 8)
        self.head = torch.nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.lin1(self.lin0(x)))


class Convolutional(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 6, 3)
        self.lin = torch.nn.Linear(6, 2)

    def forward(self, x):
        return self.lin(self.conv(x).flatten(2).mean(-1))


QV = ["q_proj", "v_proj"]


def _lora(**fields):
    return lambda: peft.LoraConfig(**{"r": 4, "target_modules": list(QV), "init_lora_weights": False, **fields})


#: name -> (make the model, make its config)
CASES = {
    "lora": (llama, _lora(task_type="CAUSAL_LM")),
    "lora_no_task": (llama, _lora()),
    "lora_pattern": (llama, _lora(target_modules=r".*\.(q|k)_proj")),
    "lora_dora": (llama, _lora(use_dora=True)),
    "lora_rslora": (llama, _lora(use_rslora=True, rank_pattern={"q_proj": 2}, alpha_pattern={"v_proj": 3})),
    "lora_bias_all": (gpt2, _lora(target_modules=["c_attn"], bias="all", fan_in_fan_out=True)),
    "lora_bias_only": (gpt2, _lora(target_modules=["c_attn"], bias="lora_only", fan_in_fan_out=True)),
    "lora_embedding": (llama, _lora(target_modules=["embed_tokens", "q_proj"])),
    "lora_embedding_pattern": (llama, _lora(target_modules=r"model\.embed_tokens")),
    "lora_saved_module": (llama, _lora(modules_to_save=["lm_head"])),
    "lora_tokens": (llama, _lora(trainable_token_indices=[1, 3])),
    "lora_tied_tokens": (lambda: llama(tie_word_embeddings=True), _lora(trainable_token_indices=[1, 3])),
    "lora_classifier": (classifier, _lora(task_type="SEQ_CLS")),
    "lora_conv": (Convolutional, _lora(target_modules=["conv"])),
    "lora_mlp": (Mlp, _lora(target_modules=["lin0", "emb"], modules_to_save=["head"])),
    "lora_parameters": (Mlp, _lora(target_modules=[], target_parameters=["lin0.weight"])),
    "adalora": (llama, lambda: peft.AdaLoraConfig(target_modules=list(QV), total_step=10, init_r=4)),
    "ia3": (llama, lambda: peft.IA3Config(target_modules=list(QV), feedforward_modules=["v_proj"])),
    "loha": (llama, lambda: peft.LoHaConfig(target_modules=list(QV), init_weights=False)),
    "lokr": (llama, lambda: peft.LoKrConfig(target_modules=list(QV), init_weights=False)),
    "boft": (llama, lambda: peft.BOFTConfig(target_modules=list(QV), boft_block_size=4)),
    "oft": (llama, lambda: peft.OFTConfig(target_modules=list(QV), r=0, oft_block_size=4)),
    "vera": (llama, lambda: peft.VeraConfig(target_modules=list(QV), r=4)),
    "fourierft": (llama, lambda: peft.FourierFTConfig(target_modules=list(QV), n_frequency=8)),
    "hra": (llama, lambda: peft.HRAConfig(target_modules=list(QV))),
    "ln_tuning": (llama, lambda: peft.LNTuningConfig(target_modules=["input_layernorm"])),
    "vblora": (llama, lambda: peft.VBLoRAConfig(target_modules=list(QV), num_vectors=8, vector_length=4, r=2)),
    "vblora_topk": (llama, lambda: peft.VBLoRAConfig(target_modules=list(QV), num_vectors=8, vector_length=4, r=2,
                                                     save_only_topk_weights=True)),
    "poly": (llama, lambda: peft.PolyConfig(target_modules=list(QV), r=2)),
    "prompt": (llama, lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)),
    "p_tuning": (llama, lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4,
                                                         encoder_hidden_size=8)),
    "prefix": (llama, lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)),
    "prefix_projection": (llama, lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4,
                                                                 prefix_projection=True, encoder_hidden_size=8)),
    "multitask": (llama, lambda: peft.MultitaskPromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4,
                                                                  num_tasks=2)),
    "prompt_classifier": (classifier, lambda: peft.PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=4)),
    "adaption_prompt": (llama, lambda: peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_layers=1,
                                                                 adapter_len=4)),
}

_LATER = {
    "tokens": ("TrainableTokensConfig", llama, dict(token_indices=[0, 2])),
    "randlora": ("RandLoraConfig", llama, dict(target_modules=list(QV), r=4)),
    "c3a": ("C3AConfig", llama, dict(target_modules=list(QV), block_size=4)),
    "shira": ("ShiraConfig", llama, dict(target_modules=list(QV), r=2)),
    "miss": ("MissConfig", llama, dict(target_modules=list(QV), r=4)),
    "road": ("RoadConfig", llama, dict(target_modules=list(QV), group_size=4)),
    "delora": ("DeloraConfig", llama, dict(target_modules=list(QV), r=4)),
    "waveft": ("WaveFTConfig", llama, dict(target_modules=list(QV), n_frequency=8)),
    "osf": ("OSFConfig", llama, dict(target_modules=list(QV), effective_rank=4)),
    "gralora": ("GraloraConfig", llama, dict(target_modules=list(QV), r=4, gralora_k=2)),
    "hira": ("HiraConfig", llama, dict(target_modules=list(QV), r=4)),
    "psoft": ("PsoftConfig", llama, dict(target_modules=list(QV), r=4)),
    "lily": ("LilyConfig", llama, dict(target_modules=list(QV), r=4)),
    "pvera": ("PveraConfig", llama, dict(target_modules=list(QV), r=4)),
    "unilora": ("UniLoraConfig", llama, dict(target_modules=list(QV), r=4)),
    "tinylora": ("TinyLoraConfig", llama, dict(target_modules=list(QV))),
    "frod": ("FrodConfig", llama, dict(target_modules=list(QV))),
    "peanut": ("PeanutConfig", llama, dict(target_modules=list(QV), r=4)),
    "adamss": ("AdamssConfig", llama, dict(target_modules=list(QV))),
    "beft": ("BeftConfig", llama, dict(target_modules=list(QV))),
    "deft": ("DeftConfig", llama, dict(target_modules=list(QV))),
    "glora": ("GloraConfig", llama, dict(target_modules=list(QV))),
    "supertuning": ("SupertuningConfig", llama, dict(target_modules=list(QV))),
}


def _later(kind, fields):
    return lambda: getattr(peft, kind)(**fields)


for _name, (_kind, _model, _fields) in _LATER.items():
    if hasattr(peft, _kind):
        CASES[_name] = (_model, _later(_kind, _fields))


def _works(case):
    base, config = CASES[case]
    try:
        peft.get_peft_model(base(), config())
    except (AttributeError, ImportError, TypeError, ValueError):
        return False
    return True


#: What an older PEFT does not have, or cannot make with the transformers installed: tools/peft_versions.py prints it.
ABSENT = sorted(_LATER.keys() - CASES.keys())
if peft.__version__ == "0.21.2":
    assert not ABSENT, f"misspelled: {ABSENT}"
else:
    ABSENT += [case for case in CASES if not _works(case)]
CASES = {case: made for case, made in CASES.items() if case not in ABSENT}


def present(*cases):
    return [case for case in cases if case not in ABSENT]


def make(case):
    """The PeftModel of that case, with no two tensors of the adapter alike."""
    base, config = CASES[case]
    model = peft.get_peft_model(base(), config())
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.requires_grad and tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor) * 0.02)
    return model


def sorted_sets(text, config):
    """PEFT's text of a config with its sets sorted: their order is that of the hash seed."""
    document = json.loads(text)
    for key, value in config.to_dict().items():
        if isinstance(value, set):
            document[key] = sorted(document[key])
    return json.dumps(document, indent=2, sort_keys=True)
