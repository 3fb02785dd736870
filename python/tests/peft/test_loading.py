# SPDX-License-Identifier: Apache-2.0
"""from_pretrained: PEFT's model, and every module accounted for."""

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

import ferrule
import ferrule.peft
from models import CASES, clean, gpt2, llama, make, present  # noqa: F401

#: Not loadable by PEFT 0.21 itself without more than a path, or with more than one meaning.
LOADED = present(
    "lora", "lora_dora", "lora_saved_module", "lora_tokens", "lora_mlp", "adalora", "ia3", "lokr", "vera",
    "vblora", "fourierft", "prompt", "prefix", "multitask", "prompt_classifier", "shira", "unilora", "tinylora",
    "ln_tuning", "adaption_prompt")


@pytest.mark.parametrize("case", LOADED)
def test_what_was_saved_is_loaded(case, tmp_path):
    model = make(case)
    ferrule.peft.save_pretrained(model, tmp_path)
    torch.manual_seed(0)
    again = ferrule.peft.from_pretrained(CASES[case][0](), tmp_path)
    assert type(again) is type(model)
    expected = load_file(tmp_path / "adapter_model.safetensors")
    ferrule.peft.save_pretrained(again, tmp_path / "again")
    found = load_file(tmp_path / "again" / "adapter_model.safetensors")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def rewrite(folder, change):
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors = {key: value.clone() for key, value in tensors.items()}
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def test_a_module_that_the_file_lacks_is_an_error(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    rewrite(tmp_path, lambda tensors: [tensors.pop(key) for key in list(tensors) if "layers.1.self_attn.q_proj" in key])
    base = llama()
    with pytest.raises(ferrule.CorruptError, match="3 of 4 modules") as refusal:
        ferrule.peft.from_pretrained(base, tmp_path)
    assert "layers.1.self_attn.q_proj.lora_A" in str(refusal.value)
    assert refusal.value.path == str(tmp_path)
    assert isinstance(base.model.layers[0].self_attn.q_proj, torch.nn.Linear)
    assert not hasattr(base.model.layers[0].self_attn.q_proj, "lora_A")


def test_a_module_that_the_model_lacks_is_an_error(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    with pytest.raises(ferrule.CorruptError, match="2 of 4 modules") as refusal:
        ferrule.peft.from_pretrained(llama(num_hidden_layers=1), tmp_path)
    assert "the model has no place for" in str(refusal.value)


def test_without_strict_it_is_as_in_peft(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    model = ferrule.peft.from_pretrained(llama(num_hidden_layers=1), tmp_path, strict=False)
    assert isinstance(model, peft.PeftModel)


def test_other_names_and_the_arguments_of_peft(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    model = ferrule.peft.from_pretrained(llama(), tmp_path, "mine", is_trainable=True, low_cpu_mem_usage=True)
    assert list(model.peft_config) == ["mine"]
    assert model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["mine"].weight.requires_grad


def test_pefts_functions_are_its_own_again(tmp_path):
    from peft import peft_model

    ours_before = (peft_model.set_peft_model_state_dict, peft_model.load_peft_weights)
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    ferrule.peft.from_pretrained(llama(), tmp_path)
    with pytest.raises(ferrule.NotFoundError):
        ferrule.peft.from_pretrained(llama(), tmp_path / "nowhere")
    assert (peft_model.set_peft_model_state_dict, peft_model.load_peft_weights) == ours_before


def resized(folder):
    model = llama()
    model.resize_token_embeddings(72)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    adapted.save_pretrained(folder, save_embedding_layers=True)


def token_beyond(folder):
    model = llama()
    model.resize_token_embeddings(72)
    peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[3, 70])).save_pretrained(
        folder, save_embedding_layers=False)


def wider(folder):
    peft.get_peft_model(llama(hidden_size=32), peft.LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(folder)


def other_names(folder):
    peft.get_peft_model(gpt2(), peft.LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)).save_pretrained(folder)


@pytest.mark.parametrize("save, rule, said", [
    (resized, "BS-9", "72 rows"), (token_beyond, "BS-9", "token 70"), (wider, "BS-2", "32"), (other_names, "BS-7", "another architecture")])
def test_what_peft_raises_has_its_rule_and_leaves_the_base_as_it_was(save, rule, said, tmp_path):
    save(tmp_path)
    base = llama()
    base.model.norm.weight.requires_grad_(False)
    layers = list(base.named_modules())
    trained = [(name, parameter.requires_grad) for name, parameter in base.named_parameters()]
    with pytest.raises(ferrule.CorruptError, match=said) as refusal:
        ferrule.peft.from_pretrained(base, tmp_path)
    assert refusal.value.rule == rule and refusal.value.path == str(tmp_path)
    assert refusal.value.__cause__ is not None
    assert list(base.named_modules()) == layers and not hasattr(base, "peft_config")
    assert [(name, parameter.requires_grad) for name, parameter in base.named_parameters()] == trained
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "good")
    ferrule.peft.from_pretrained(base, tmp_path / "good")


def test_a_path_that_is_not_there_is_not_asked_for_on_the_hub(tmp_path, monkeypatch):
    def ask(*arguments, **named):
        raise AssertionError("the Hub was asked")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    monkeypatch.setattr(peft.PeftModel, "from_pretrained", ask)
    for path in ("outputs/my-adaptr", "./nowhere", "a/b/c", str(tmp_path / "nowhere"), "~/nowhere"):
        with pytest.raises(ferrule.NotFoundError):
            ferrule.peft.from_pretrained(llama(), path)
