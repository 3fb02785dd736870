# SPDX-License-Identifier: Apache-2.0
"""What is refused, by which exception, and that nothing is left on the disk."""

import inspect
import json
import warnings

import peft
import pytest
import torch

import ferrule
import ferrule.peft
from models import clean, llama, make  # noqa: F401


def listing(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("arguments", "kind", "named"), [
    (dict(model="a string"), TypeError, "model"),
    (dict(model=torch.nn.Linear(2, 2)), TypeError, "model"),
    (dict(save_directory=3), TypeError, "save_directory"),
    (dict(selected_adapters="default"), TypeError, "selected_adapters"),
    (dict(selected_adapters=["nobody"]), ValueError, "selected_adapters"),
    (dict(save_embedding_layers="maybe"), ValueError, "save_embedding_layers"),
    (dict(state_dict=[1]), TypeError, "state_dict"),
    (dict(path_initial_model_for_weight_conversion=1), TypeError, "path_initial_model_for_weight_conversion"),
    (dict(durability="eternal"), ValueError, "durability"),
    (dict(card="fancy"), ValueError, "card"),
    (dict(card=3), TypeError, "card"),
    (dict(is_main_process="yes", selected_adapters=3), TypeError, "selected_adapters"),
])
def test_a_wrong_argument_is_named(arguments, kind, named, tmp_path):
    given = {"model": make("lora"), "save_directory": tmp_path / "out", **arguments}
    with pytest.raises(kind, match=named):
        ferrule.peft.save_pretrained(**given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_plain_card_has_nothing_about_ferrule(asynchronous, tmp_path):
    saved = ferrule.peft.save_pretrained(make("lora"), tmp_path, card="plain", asynchronous=asynchronous)
    if saved is not None:
        saved.wait()
    text = (tmp_path / "README.md").read_text()
    assert "Ferrule" not in text and "## Load it with PEFT" in text
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "without", card=False)
    assert not (tmp_path / "without" / "README.md").exists()


def test_a_file_in_place_of_the_directory(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="should be a directory, not a file"):
        ferrule.peft.save_pretrained(make("lora"), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(("arguments", "named"), [
    (dict(model=3), "model"), (dict(model_id=3), "model_id"), (dict(adapter_name=3), "adapter_name"),
])
def test_wrong_arguments_of_from_pretrained(arguments, named, tmp_path):
    with pytest.raises(TypeError, match=named):
        ferrule.peft.from_pretrained(**{"model": llama(), "model_id": tmp_path, **arguments})


def test_peft_arguments_keep_their_names_and_places():
    theirs = [name for name, parameter in inspect.signature(peft.PeftModel.save_pretrained).parameters.items()
              if parameter.kind is not inspect.Parameter.VAR_KEYWORD][1:]
    ours = list(inspect.signature(ferrule.peft.save_pretrained).parameters)[1:]
    assert ours[: len(theirs)] == theirs


def test_unknown_keywords_are_taken_as_peft_takes_them(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path, max_shard_size="5GB", push_to_hub=False, anything=1)
    assert (tmp_path / "adapter_model.safetensors").exists()


@pytest.mark.parametrize(("keyword", "said"), [
    ("dtype", "which ferrule.save\\(\\) has$"), ("format", "here it is 'safe_serialization'$"),
    ("select", "here it is 'selected_adapters'$"),
])
def test_a_keyword_of_the_other_save_is_not_ignored(keyword, said, tmp_path):
    with pytest.raises(TypeError, match=f"^save_pretrained.* got an unexpected keyword argument '{keyword}', .*{said}"):
        ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", **{keyword: "f16"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("keyword", "meant"), [
    ("is_trainble", "is_trainable"), ("adaptername", "adapter_name"), ("revison", "revision"), ("sub_folder", "subfolder"),
    ("autocast_adapter_dtypes", "autocast_adapter_dtype"),
])
def test_a_misspelled_keyword_of_from_pretrained_is_refused(keyword, meant, tmp_path):
    with pytest.raises(TypeError, match=f"^from_pretrained.* keyword argument '{keyword}'; did you mean '{meant}'"):
        ferrule.peft.from_pretrained(llama(), tmp_path, **{keyword: True})


def test_keywords_of_peft_and_the_hub_reach_them(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "below")
    loaded = ferrule.peft.from_pretrained(llama(), tmp_path, subfolder="below", low_cpu_mem_usage=True, torch_device="cpu",
                                          autocast_adapter_dtype=False, revision="main", local_files_only=True)
    assert loaded.peft_config["default"].r


def test_other_processes_write_nothing(tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", is_main_process=False)
    pending = ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", is_main_process=False, asynchronous=True)
    pending.wait()
    assert not (tmp_path / "out").exists()


def _shard(model, change):
    weight = model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    change(weight)
    return model


def _zero3(weight):
    weight.ds_shape = tuple(weight.shape)
    weight.data = torch.empty(0)


def _empty(weight):
    weight.data = torch.empty(0)


def _flat(weight):
    weight.data = weight.data.flatten()[:7]


@pytest.mark.parametrize(("change", "advice"), [(_zero3, "GatheredParameters"), (_empty, "GatheredParameters"),
                                                (_flat, "gather")])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_shard_is_refused_by_name_with_what_to_do(change, advice, asynchronous, tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path)
    before = listing(tmp_path)
    model = _shard(make("lora"), change)
    with pytest.raises(ferrule.Error, match="layers.0.self_attn.q_proj.lora_A") as refusal:
        pending = ferrule.peft.save_pretrained(model, tmp_path, asynchronous=asynchronous)
        pending.wait()
    assert refusal.value.rule == "AD-3"
    assert advice in str(refusal.value)
    assert isinstance(refusal.value, ValueError)
    assert listing(tmp_path) == before


def test_meta_tensors_are_refused_by_name(tmp_path):
    model = make("lora")
    layer = model.base_model.model.model.layers[1].self_attn.v_proj
    layer.lora_B["default"].weight = torch.nn.Parameter(torch.empty(16, 4, device="meta"))
    with pytest.raises(ferrule.Error, match="layers.1.self_attn.v_proj.lora_B.default.weight"):
        ferrule.peft.save_pretrained(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_save_leaves_the_old_adapter(tmp_path):
    model = make("lora")
    ferrule.peft.save_pretrained(model, tmp_path)
    before = listing(tmp_path)
    model.peft_config["default"].r = 99  # Not the rank of the tensors.
    with pytest.raises(ferrule.CorruptError, match="AD-5"):
        ferrule.peft.save_pretrained(model, tmp_path)
    assert listing(tmp_path) == before


def test_the_network_is_not_asked(tmp_path, monkeypatch):
    import socket

    import huggingface_hub.constants

    def refuse(*arguments, **keywords):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    model = make("lora")
    model.peft_config["default"].base_model_name_or_path = "some-org/some-model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ferrule.peft.save_pretrained(model, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "some-org/some-model"


def test_a_method_of_the_users_own_is_selected_by_peft(tmp_path, monkeypatch):
    from ferrule.peft import _native

    monkeypatch.setattr(_native, "_is_known", lambda config: False)
    model = make("lora")
    ferrule.peft.save_pretrained(model, tmp_path)
    assert len(peft.load_peft_weights(tmp_path)) == 8


@pytest.mark.parametrize(("keyword", "meant"), [
    ("selected_adapter", "selected_adapters"), ("durabilty", "durability"), ("asynchronus", "asynchronous"),
    ("safe_serialisation", "safe_serialization"), ("save_embeddings_layers", "save_embedding_layers"),
])
def test_a_misspelled_keyword_is_a_type_error_with_a_suggestion(keyword, meant, tmp_path):
    with pytest.raises(TypeError, match=f"'{keyword}'; did you mean '{meant}'"):
        ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", **{keyword: True})
    assert not (tmp_path / "out").exists()
