# SPDX-License-Identifier: Apache-2.0
"""from_pretrained: PEFT's model, and every module accounted for."""

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file

import ferrule
import ferrule.peft
from models import CASES, clean, llama, make, present  # noqa: F401

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
    with pytest.raises(ValueError):
        ferrule.peft.from_pretrained(llama(), tmp_path / "nowhere")
    assert (peft_model.set_peft_model_state_dict, peft_model.load_peft_weights) == ours_before
