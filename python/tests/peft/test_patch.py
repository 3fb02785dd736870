# SPDX-License-Identifier: Apache-2.0
"""patch and unpatch."""

import inspect
import json
import shutil

import huggingface_hub
import peft
import pytest
import torch
from peft import peft_model
from peft.utils import save_and_load

import ferrule.peft
from models import clean, llama, make, sorted_sets  # noqa: F401

PLACES = [(peft_model, "safe_save_file"), (save_and_load, "safe_load_file"), (peft.PeftModel, "save_pretrained"),
          (peft.PeftModel, "push_to_hub"), (peft.PeftModel, "load_adapter"), (save_and_load, "load_peft_weights"),
          (peft_model, "load_peft_weights"), (peft, "load_peft_weights"), (shutil, "rmtree"),
          (peft.config.PeftConfigMixin, "from_pretrained"),
          (huggingface_hub.HfApi, "_prepare_upload_folder_additions")]


def standing():
    return [inspect.getattr_static(owner, name) for owner, name in PLACES]


def test_the_leaf_functions_by_default(tmp_path):
    before = standing()
    model = make("lora")
    model.save_pretrained(tmp_path / "stock")
    ferrule.peft.patch()
    changed = [name for (owner, name), old, new in zip(PLACES, before, standing()) if old is not new]
    assert changed == ["safe_save_file", "safe_load_file"]
    model.save_pretrained(tmp_path / "leaf")
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md"):
        assert (tmp_path / "leaf" / name).read_bytes() == (tmp_path / "stock" / name).read_bytes()
    peft.PeftModel.from_pretrained(llama(), tmp_path / "leaf")
    ferrule.peft.unpatch()
    assert all(old is new for old, new in zip(before, standing()))


def test_natively(tmp_path):
    before = standing()
    model = make("lora")
    model.save_pretrained(tmp_path / "stock")
    ferrule.peft.patch(native=True)
    ferrule.peft.patch(native=True)
    assert inspect.signature(peft.PeftModel.save_pretrained) == inspect.signature(before[2])
    model.save_pretrained(tmp_path / "native")
    weights = (tmp_path / "native" / "adapter_model.safetensors").read_bytes()
    assert weights == (tmp_path / "stock" / "adapter_model.safetensors").read_bytes()
    assert (tmp_path / "native" / "adapter_config.json").read_text() == sorted_sets(
        (tmp_path / "stock" / "adapter_config.json").read_text(), model.peft_config["default"])
    again = peft.PeftModel.from_pretrained(llama(), tmp_path / "native")
    assert torch.equal(again.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight,
                       model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight)
    ferrule.peft.unpatch()
    assert all(old is new for old, new in zip(before, standing()))


def test_levels_follow_each_other():
    before = standing()
    ferrule.peft.patch(native=True)
    ferrule.peft.patch()
    assert peft.PeftModel.save_pretrained is before[2]
    assert peft_model.safe_save_file is not before[0]
    ferrule.peft.unpatch()
    ferrule.peft.unpatch()
    assert all(old is new for old, new in zip(before, standing()))


def test_what_somebody_put_over_ours_stays():
    stock = peft_model.safe_save_file
    ferrule.peft.patch()
    peft_model.safe_save_file = mine = lambda *arguments, **keywords: None
    try:
        ferrule.peft.unpatch()
        assert peft_model.safe_save_file is mine
    finally:
        peft_model.safe_save_file = stock


def test_a_save_that_we_refuse_is_warned_of_and_done_by_peft(tmp_path):
    model = make("lora")
    weight = model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    weight.data = weight.data.flatten()
    ferrule.peft.patch(native=True)
    with pytest.warns(UserWarning, match="although Ferrule refuses.*AD-3"):
        model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"] == "LORA"
