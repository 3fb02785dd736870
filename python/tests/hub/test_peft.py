# SPDX-License-Identifier: Apache-2.0
"""PeftModel.push_to_hub under patch(native=True), and PEFT loading by the repository's name."""

import inspect
import warnings
from types import SimpleNamespace

import huggingface_hub
import peft
import pytest
import torch
from adapters import content

import ferrule.peft
from models import clean, llama, make, sorted_sets  # noqa: F401


@pytest.fixture(autouse=True)
def patched():
    ferrule.peft.patch(native=True)


def stock_save(model, folder):
    ferrule.peft.unpatch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
    ferrule.peft.patch(native=True)
    return content(folder)


def weights(model):
    return {key: value.clone() for key, value in peft.get_peft_model_state_dict(model).items()}


def test_what_is_pushed_is_what_peft_saves_and_loads_by_its_name(stage):
    model = make("lora")
    done = model.push_to_hub(stage.repo_id, commit_message="Trained", commit_description="Longer.")
    head = stage.hub.repo(stage.repo_id).head()
    assert isinstance(done, huggingface_hub.CommitInfo)
    assert done == done.commit_url == f"{stage.hub.url}/{stage.repo_id}/commit/{head.oid}"
    assert (done.oid, done.commit_message, done.commit_description) == (head.oid, "Trained", "Longer.")
    assert (done.repo_url.repo_id, done.pr_url, done.pr_num) == (stage.repo_id, None, None)
    assert (head.title, head.description) == ("Trained", "Longer.")
    theirs = stock_save(model, stage.folder / "stock")
    stored = stage.stored()
    assert sorted(stored) == sorted(theirs)
    assert stored["adapter_model.safetensors"] == theirs["adapter_model.safetensors"]
    config = sorted_sets(theirs["adapter_config.json"], model.peft_config["default"])
    assert stored["adapter_config.json"].decode() == config
    agents = {request.headers["User-Agent"].split("/")[0] for request in stage.hub.requests(origin="hub")}
    assert agents == {"ferrule"}

    snapshot = content(huggingface_hub.snapshot_download(stage.repo_id))
    snapshot.pop(".gitattributes")
    assert snapshot == stored
    again = peft.PeftModel.from_pretrained(llama(), stage.repo_id)
    expected, found = weights(model), weights(again)
    assert list(expected) == list(found) and all(torch.equal(expected[key], found[key]) for key in expected)


def test_the_same_again_makes_no_commit(stage):
    model = make("lora")
    first = model.push_to_hub(stage.repo_id)
    assert model.push_to_hub(stage.repo_id).oid == first.oid
    assert len(stage.commits()) == 1
    assert stage.hub.repo(stage.repo_id).head().title == "Upload model"


def test_the_card_on_the_hub_is_added_to(stage):
    model = make("lora")
    model.push_to_hub(stage.repo_id, tags=["first"])
    card = huggingface_hub.ModelCard.load(stage.repo_id)
    assert "first" in card.data.tags and card.data.library_name == "peft"
    card.text += "\nWritten by hand.\n"
    stage.world.put(stage.hub.repo(stage.repo_id), {"README.md": str(card).encode()})
    weight = model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    weight.data += 1
    model.push_to_hub(stage.repo_id, tags=["second"], revision="dev")
    for branch, tags in (("main", {"first"}), ("dev", {"first", "second"})):
        text = stage.stored(branch)["README.md"].decode()
        assert "Written by hand." in text
        assert tags <= set(huggingface_hub.ModelCard(text).data.tags)
    assert "second" not in huggingface_hub.ModelCard(stage.stored()["README.md"].decode()).data.tags


def test_a_pull_request(stage):
    model = make("lora")
    model.push_to_hub(stage.repo_id)
    before = stage.stored()
    weight = model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    weight.data += 1
    done = model.push_to_hub(stage.repo_id, create_pr=True)
    assert (done.pr_num, done.pr_revision) == (1, "refs/pr/1")
    assert stage.stored() == before != stage.stored("refs/pr/1")


def test_a_name_without_its_owner(stage):
    owner, name = stage.repo_id.split("/")
    assert make("lora").push_to_hub(name).repo_url.repo_id == f"{owner}/{name}"
    assert "adapter_model.safetensors" in stage.stored()


def test_several_adapters(stage):
    model = make("lora")
    model.add_adapter("second", peft.LoraConfig(r=2, target_modules=["k_proj"], init_lora_weights=False))
    model.push_to_hub(stage.repo_id)
    assert "second/adapter_model.safetensors" in stage.stored()
    again = peft.PeftModel.from_pretrained(llama(), stage.repo_id)
    again.load_adapter(stage.repo_id, "second", subfolder="second")
    expected = peft.get_peft_model_state_dict(model, adapter_name="second")
    found = peft.get_peft_model_state_dict(again, adapter_name="second")
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_private_means_private(stage):
    make("lora").push_to_hub(stage.repo_id, private=True)
    assert stage.hub.repo(stage.repo_id).private
    stage.hub.repo(stage.repo_id).private = False
    with pytest.raises(ferrule.IoError, match="is public"):
        make("lora_rslora").push_to_hub(stage.repo_id, private=True)


def test_a_push_between_asynchronous_saves_is_whole(stage):
    model = make("lora")
    callback = ferrule.peft.AsyncSaveCallback()
    callback.on_train_begin(SimpleNamespace(push_to_hub=False), None, None, model=model)
    model.push_to_hub(stage.repo_id)
    model.save_pretrained(stage.folder / "checkpoint")
    callback.on_train_end(None, None, None)
    weights = (stage.folder / "checkpoint" / "adapter_model.safetensors").read_bytes()
    assert stage.stored()["adapter_model.safetensors"] == weights


def test_no_token_no_push(stage):
    with pytest.raises(PermissionError):
        make("lora").push_to_hub(stage.repo_id, token=False)


def test_what_we_refuse_is_warned_of_and_pushed_by_peft(stage):
    model = make("lora")
    weight = model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    weight.data = weight.data.flatten()
    with pytest.warns(UserWarning, match="pushed by PEFT, although Ferrule refuses this adapter"):
        done = model.push_to_hub(stage.repo_id)
    assert done.oid == stage.hub.repo(stage.repo_id).head().oid
    assert "adapter_model.safetensors" in stage.stored()


def test_arguments_are_those_of_the_transformers_installed():
    ours = inspect.signature(peft.PeftModel.push_to_hub)
    with pytest.raises(TypeError):
        make("lora").push_to_hub()
    ferrule.peft.unpatch()
    assert inspect.signature(peft.PeftModel.push_to_hub) == ours
    assert "push_to_hub" not in vars(peft.PeftModel)
