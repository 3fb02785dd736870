# SPDX-License-Identifier: Apache-2.0
"""AdapterConfig as a value, compared with PEFT's own configs."""

import copy
import json
import multiprocessing
import pickle
import subprocess

import ferrule
import peft
import pytest
from conftest import CASES, ROOT, adapter_folders


@pytest.mark.parametrize("folder", adapter_folders(), ids=lambda path: str(path.relative_to(CASES)))
def test_a_config_survives_pickling_and_copying(folder):
    config = ferrule.AdapterConfig.open(folder)
    for again in (pickle.loads(pickle.dumps(config)), copy.copy(config), copy.deepcopy(config), config.copy()):
        assert again == config and again.to_json() == config.to_json()
        assert list(again.document) == list(config.document)


def test_fields_have_the_names_that_peft_gives_them():
    ours = ferrule.AdapterConfig.make("LORA", r=16, lora_alpha=32, target_modules=["q_proj"])
    theirs = peft.LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj"])
    for name in ("r", "lora_alpha", "lora_dropout", "use_rslora", "bias", "inference_mode", "init_lora_weights"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.r == ours.rank and ours.lora_alpha == ours.alpha
    with pytest.raises(AttributeError, match='did you mean "lora_alpha"'):
        ours.lora_alhpa
    assert not hasattr(ours, "__array_interface__")


def test_fields_can_be_assigned_as_peft_configs_can():
    config = ferrule.AdapterConfig.make("LORA", r=4)
    config.r = 8
    config.target_modules = ["q_proj"]
    assert config == ferrule.AdapterConfig.make("LORA", r=8, target_modules=["q_proj"])
    assert config.to_dict() == config.document and config.to_dict()["r"] == 8
    for field, value in (("lora_alhpa", 3), ("r", "16"), ("rank", 3)):
        with pytest.raises(ferrule.InvalidArgumentError):
            setattr(config, field, value)
    assert config.r == 8


def test_configs_are_equal_if_their_fields_are():
    make = ferrule.AdapterConfig.make
    assert make("LORA", r=4) == make("LORA", r=4)
    assert make("LORA", r=4, lora_alpha=8) == make("LORA", lora_alpha=8, r=4)
    assert make("LORA", r=4) != make("LORA", r=8)
    assert make("LORA") != make("IA3") and make("LORA") != "LORA"
    with pytest.raises(TypeError):
        hash(make("LORA"))


def test_copies_are_independent():
    config = ferrule.AdapterConfig.make("LORA", r=4)
    other = config.copy()
    other.set("r", 8)
    assert (config.r, other.r) == (4, 8)


@pytest.mark.parametrize(("field", "meant"), [("lora_alhpa", "lora_alpha"), ("alpha", "lora_alpha"), ("rank", "r")])
def test_set_refuses_what_make_refuses(field, meant):
    config = ferrule.AdapterConfig.make("LORA")
    before = config.to_json()
    for call in (lambda: config.set(field, 3), lambda: ferrule.AdapterConfig.make("LORA", **{field: 3})):
        with pytest.raises(ferrule.InvalidArgumentError, match=f'did you mean "{meant}"'):
            call()
    assert config.to_json() == before
    config.set("my_own_field", 3, force=True)
    config.set("my_own_field", 4)
    assert config.my_own_field == 4


def test_a_value_that_a_field_cannot_hold_is_an_invalid_argument():
    config = ferrule.AdapterConfig.make("LORA")
    for call in (lambda: config.set("r", "16"), lambda: ferrule.AdapterConfig.make("LORA", r="16")):
        with pytest.raises(ferrule.InvalidArgumentError) as caught:
            call()
        assert caught.value.rule == "CF-8" and isinstance(caught.value, ValueError)
        assert type(caught.value) is ferrule.WrongTypeError and isinstance(caught.value, TypeError)
        assert type(pickle.loads(pickle.dumps(caught.value))) is ferrule.WrongTypeError
    with pytest.raises(TypeError, match="^r: "):
        config.set("r", object())
    with pytest.raises(TypeError, match="^field: expected str"):
        config.set(3, 3)


def test_upgrade_writes_what_the_command_writes(tmp_path, ferrule_command):
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"peft_type": "BONE", "r": 4, "target_modules": ["q_proj"], "runtime_config": {}}))
    done = subprocess.run([ferrule_command, "config", "upgrade", old, "-o", tmp_path / "theirs.json", "--json"],
                          capture_output=True, check=True)
    config = ferrule.AdapterConfig.upgrade(old, tmp_path / "ours.json")
    assert (tmp_path / "ours.json").read_text() == (tmp_path / "theirs.json").read_text() == config.to_json()
    document = json.loads(done.stdout)
    assert config.document == document["config"] and config.peft_type == document["peft_type"] == "MISS"
    assert [finding.to_dict() for finding in config.findings] == document["findings"]
    assert ferrule.AdapterConfig.upgrade(old) == config
    with pytest.raises(ferrule.CorruptError):
        ferrule.AdapterConfig.upgrade(ROOT / "tests/malformed/CF-12-rank-zero.json", tmp_path / "no.json")
    assert not (tmp_path / "no.json").exists()


def rank_of(config):
    return config.r


def test_a_config_reaches_a_spawned_worker():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(rank_of, [ferrule.AdapterConfig.make("LORA", r=3)]) == [3]


def test_a_config_is_a_mapping():
    config = ferrule.AdapterConfig.make("LORA", r=8)
    assert dict(config) == config.to_dict() == {**config} and list(config) == config.keys() == list(config.to_dict())
    assert len(config) == len(config.to_dict()) and "r" in config and "x" not in config


def test_numbers_of_numpy_and_torch_are_numbers():
    import numpy as np
    import torch

    config = ferrule.AdapterConfig.make("LORA", r=np.int64(8), lora_alpha=torch.tensor(16), lora_dropout=np.float32(0.5),
                                        use_rslora=np.bool_(True))
    assert config == ferrule.AdapterConfig.make("LORA", r=8, lora_alpha=16, lora_dropout=0.5, use_rslora=True)
    config.set("rank_pattern", {"q_proj": np.int32(4)})
    assert config.rank_pattern == {"q_proj": 4}
    for wrong in (np.ones(2), torch.ones(2), object(), b"8"):
        with pytest.raises(TypeError, match="^r: JSON has no "):
            ferrule.AdapterConfig.make("LORA", r=wrong)
