# SPDX-License-Identifier: Apache-2.0
"""What a live model applies is what PEFT applies after it has read the saved files."""

import warnings

import peft
import pytest
import torch

import ferrule.peft
from models import clean, llama  # noqa: F401

TOKENS = torch.tensor([[1, 5, 7, 3]])


def lora(**fields):
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM",
                              **fields})


def adapted(*configs):
    torch.manual_seed(0)
    model = peft.get_peft_model(llama(), configs[0])
    for number, config in enumerate(configs[1:], 2):
        model.add_adapter(f"adapter{number}", config)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_" in name:
                tensor.add_(torch.randn_like(tensor) * 0.1)
    return model.eval()


def logits(model, adapter="default"):
    model.set_adapter(adapter)
    with torch.no_grad():
        return model(TOKENS).logits


def assert_comes_back(model, folder, warned, adapter="default"):
    base = llama()
    base.load_state_dict({key.replace(".base_layer", ""): value for key, value in model.get_base_model().state_dict().items()
                          if "lora_" not in key})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ferrule.peft.save_pretrained(model, folder)
    said = [str(warning.message) for warning in caught if "KY-12" in str(warning.message)]
    assert bool(said) == warned, said
    loaded = peft.PeftModel.from_pretrained(base, folder if adapter == "default" else folder / adapter).eval()
    with torch.no_grad():
        found = loaded(TOKENS).logits
    torch.testing.assert_close(found, logits(model, adapter), atol=1e-5, rtol=1e-4)
    return said


def layers(model):
    return [module for module in model.modules() if isinstance(module, peft.tuners.lora.LoraLayer)]


def test_the_config_says_what_is_live(tmp_path):
    assert_comes_back(adapted(lora()), tmp_path, warned=False)


@pytest.mark.parametrize("tables", [
    {"alpha_pattern": {"q_proj": 32, "layers.0.self_attn.q_proj": 4}},
    {"rank_pattern": {"q_proj": 2, "layers.0.self_attn.q_proj": 3}},
    {"alpha_pattern": {"v_proj|q_proj": 2, ".*0.*": 6}, "rank_pattern": {"q_proj|v_proj": 2, ".*1.*": 3}, "use_rslora": True},
])
def test_order_of_patterns(tmp_path, tables):
    assert_comes_back(adapted(lora(**tables)), tmp_path, warned=False)


def test_set_scale(tmp_path):
    model = adapted(lora())
    for layer in layers(model):
        layer.set_scale("default", 0.25)
    said, = assert_comes_back(model, tmp_path, warned=True)
    assert "0.5" in said and "2.0" in said and "factor of 0.25" in said, said


def test_set_scale_of_one_layer(tmp_path):
    model = adapted(lora())
    layers(model)[1].set_scale("default", 3)
    said, = assert_comes_back(model, tmp_path, warned=True)
    assert "v_proj" in said


def hotswapped(tmp_path, prepare, **fields):
    from peft.utils.hotswap import hotswap_adapter, prepare_model_for_compiled_hotswap

    adapted(lora(**fields)).save_pretrained(tmp_path / "other")
    model = adapted(lora())
    if prepare is not None:
        prepare_model_for_compiled_hotswap(model, target_rank=16, config=prepare(model))
    hotswap_adapter(model, tmp_path / "other", "default")
    return model


def test_hotswapped_adapter_of_another_alpha(tmp_path):
    assert_comes_back(hotswapped(tmp_path, None, lora_alpha=4), tmp_path / "saved", warned=True)


def test_hotswapped_adapter_of_another_rank_in_a_padded_model(tmp_path):
    model = hotswapped(tmp_path, lambda model: None, r=2, lora_alpha=16)
    assert_comes_back(model, tmp_path / "saved", warned=True)


def test_padded_adapter(tmp_path):
    from peft.utils.hotswap import prepare_model_for_compiled_hotswap

    model = adapted(lora())
    prepare_model_for_compiled_hotswap(model, target_rank=16)
    assert_comes_back(model, tmp_path, warned=False)


def test_padded_adapter_whose_config_was_padded_too(tmp_path):
    from peft.utils.hotswap import prepare_model_for_compiled_hotswap

    model = adapted(lora())
    prepare_model_for_compiled_hotswap(model, target_rank=16, config=model.peft_config["default"])
    assert_comes_back(model, tmp_path, warned=True)


@pytest.mark.parametrize("kind", ["linear", "cat", "svd"])
def test_weighted_adapter(tmp_path, kind):
    model = adapted(lora(), lora())
    model.add_weighted_adapter(["default", "adapter2"], [0.5, 2.0], "both", combination_type=kind)
    assert_comes_back(model, tmp_path, warned=False, adapter="both")


def test_weighted_adapter_with_rslora(tmp_path):
    model = adapted(lora(use_rslora=True), lora(use_rslora=True))
    model.add_weighted_adapter(["default", "adapter2"], [0.5, 2.0], "both", combination_type="cat")
    ferrule.peft.save_pretrained(model, tmp_path)


def test_an_empty_rotation_is_saved(tmp_path):
    model = peft.get_peft_model(llama(), peft.OFTConfig(r=0, oft_block_size=1, target_modules=["q_proj"]))
    ferrule.peft.save_pretrained(model, tmp_path)
    assert peft.PeftModel.from_pretrained(llama(), tmp_path) is not None
