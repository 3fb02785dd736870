# SPDX-License-Identifier: Apache-2.0
"""Every file is that of PEFT's own save_pretrained of the same model, to the byte."""

import warnings

import peft
import pytest
import torch
from safetensors.torch import load_file

import ferrule.peft
from ferrule.peft import _native
from models import CASES, clean, gpt2, llama, make, present, sorted_sets  # noqa: F401


def saved_by_peft(model, folder, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder, **arguments)
    return folder


#: What older PEFTs write differently, and until which version: keys that only one of the two files has.
OLDER = {
    # They forget that the layer they saved the bias of has been wrapped.
    "lora_bias_only": ("0.20.0", set(), {
        f"base_model.model.transformer.h.{layer}.attn.c_attn.base_layer.bias" for layer in (0, 1)}),
    # They save the head with an embedding that is targeted.
    "lora_embedding-True": ("0.15.2", {"base_model.model.lm_head.weight"}, set()),
}


def release(version):
    return tuple(map(int, version.split(".")))


def assert_same_case(case, model, theirs, ours):
    last, only_theirs, only_ours = OLDER.get(case, ("0.0.0", set(), set()))
    if release(peft.__version__) > release(last):
        return assert_same(model, theirs, ours)
    expected, found = (load_file(folder / "adapter_model.safetensors") for folder in (theirs, ours))
    assert (expected.keys() - found.keys(), found.keys() - expected.keys()) == (only_theirs, only_ours)
    assert all(torch.equal(expected[key], found[key]) for key in expected.keys() & found.keys())


def assert_same(model, theirs, ours):
    files = sorted(path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    for path in files:
        if path.name == "adapter_config.json":
            name = "default" if len(path.parts) == 1 else path.parts[0]
            expected = (theirs / path).read_text()
            if _native.can_save(model.peft_config):  # What Ferrule does not know PEFT writes itself.
                expected = sorted_sets(expected, model.peft_config[name])
            assert (ours / path).read_text() == expected, path
        elif path.name == "adapter_model.safetensors":
            assert (ours / path).read_bytes() == (theirs / path).read_bytes(), path


@pytest.mark.parametrize("case", CASES)
def test_every_method_is_saved_as_peft_saves_it(case, tmp_path):
    model = make(case)
    theirs = saved_by_peft(model, tmp_path / "theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ferrule.peft.save_pretrained(model, tmp_path / "ours") is None
    assert_same_case(case, model, theirs, tmp_path / "ours")


@pytest.mark.parametrize("case", present("lora", "lora_saved_module", "vera", "p_tuning", "lora_tied_tokens"))
def test_asynchronously_too(case, tmp_path):
    model = make(case)
    theirs = saved_by_peft(model, tmp_path / "theirs")
    pending = ferrule.peft.save_pretrained(model, tmp_path / "ours", asynchronous=True)
    with torch.no_grad():  # The training goes on.
        for parameter in model.parameters():
            parameter.mul_(-3)
    pending.wait()
    assert_same(model, theirs, tmp_path / "ours")


def test_several_adapters(tmp_path):
    model = make("lora")
    model.add_adapter("second", peft.LoraConfig(r=2, target_modules=["k_proj"], modules_to_save=["lm_head"]))
    model.add_adapter("third", peft.LoraConfig(r=8, target_modules=["q_proj"], use_dora=True))
    theirs = saved_by_peft(model, tmp_path / "theirs")
    ferrule.peft.save_pretrained(model, tmp_path / "ours")
    assert_same(model, theirs, tmp_path / "ours")


@pytest.mark.parametrize(("first", "second"), [("c_attn", "c_attn"), ("c_fc", "c_attn"), ("c_fc", "attn.c_proj")])
@pytest.mark.parametrize("kind", [kind for kind in ("VeraConfig", "PveraConfig") if hasattr(peft, kind)])
def test_a_second_adapter_carries_the_projections_of_its_own_layers(kind, first, second, tmp_path):
    """The weights of GPT-2 are transposed (Conv1D): what is in and what is out is known from the trained vector over the
    output. PEFT writes what the first adapter needed, and cannot load it (docs/differences.md)."""
    config = getattr(peft, kind)
    model = peft.get_peft_model(gpt2(), config(target_modules=[first], r=4))
    model.add_adapter("second", config(target_modules=[second], r=4))
    theirs = saved_by_peft(model, tmp_path / "theirs")
    ferrule.peft.save_pretrained(model, tmp_path / "ours")
    for folder in (".", "second"):
        files = (where / folder / "adapter_model.safetensors" for where in (theirs, tmp_path / "ours"))
        expected, found = map(load_file, files)
        # PEFT up to 0.19 writes the other adapter's vectors along.
        expected = {key: tensor for key, tensor in expected.items() if not key.endswith((".default", ".second"))}
        assert expected.keys() == found.keys()
        outputs, = {len(tensor) for key, tensor in expected.items() if key.endswith("lambda_b")}
        for key, tensor in expected.items():
            assert torch.equal(found[key], tensor[:outputs] if key.endswith("vera_B") else tensor), key
    ferrule.peft.from_pretrained(gpt2(), tmp_path / "ours" / "second")


def test_a_selection_of_adapters(tmp_path):
    model = make("lora")
    model.add_adapter("second", peft.LoraConfig(r=2, target_modules=["k_proj"]))
    theirs = saved_by_peft(model, tmp_path / "theirs", selected_adapters=["second"])
    ferrule.peft.save_pretrained(model, tmp_path / "ours", selected_adapters=["second"])
    assert_same(model, theirs, tmp_path / "ours")
    assert not (tmp_path / "ours" / "adapter_config.json").exists()


def test_a_state_dict_of_the_callers(tmp_path):
    model = make("lora_bias_all")
    state = {key: torch.full_like(value, 0.5) for key, value in model.state_dict().items()}
    theirs = saved_by_peft(model, tmp_path / "theirs", state_dict=state)
    ferrule.peft.save_pretrained(model, tmp_path / "ours", state_dict=state)
    assert_same(model, theirs, tmp_path / "ours")


@pytest.mark.parametrize("wish", [True, False, "auto"])
@pytest.mark.parametrize("case", present("lora", "lora_embedding", "lora_tokens"))
def test_embeddings(case, wish, tmp_path):
    model = make(case)
    theirs = saved_by_peft(model, tmp_path / "theirs", save_embedding_layers=wish)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ferrule.peft.save_pretrained(model, tmp_path / "ours", save_embedding_layers=wish)
    assert_same_case(f"{case}-{wish}", model, theirs, tmp_path / "ours")


def test_a_resized_vocabulary_is_noticed_from_the_base_on_this_disk(tmp_path):
    llama().save_pretrained(tmp_path / "base")
    base = type(llama()).from_pretrained(tmp_path / "base")
    base.resize_token_embeddings(70)
    model = peft.get_peft_model(base, peft.LoraConfig(target_modules=["q_proj"]))
    theirs = saved_by_peft(model, tmp_path / "theirs")
    with pytest.warns(UserWarning, match="has been resized"):
        ferrule.peft.save_pretrained(model, tmp_path / "ours")
    assert_same(model, theirs, tmp_path / "ours")


def test_an_initial_adapter_is_subtracted(tmp_path):
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights="olora"))
    saved_by_peft(model, tmp_path / "initial")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.25)
    ferrule.peft.save_pretrained(model, tmp_path / "ours", path_initial_model_for_weight_conversion=tmp_path / "initial")
    theirs = saved_by_peft(model, tmp_path / "theirs",
                           path_initial_model_for_weight_conversion=str(tmp_path / "initial"))
    assert_same(model, theirs, tmp_path / "ours")


def test_bin_files_hold_the_same(tmp_path):
    model = make("lora")
    theirs = saved_by_peft(model, tmp_path / "theirs", safe_serialization=False)
    ferrule.peft.save_pretrained(model, tmp_path / "ours", safe_serialization=False)
    ours = torch.load(tmp_path / "ours" / "adapter_model.bin", weights_only=True)
    expected = torch.load(theirs / "adapter_model.bin", weights_only=True)
    assert list(ours) == list(expected) or sorted(ours) == sorted(expected)
    assert all(torch.equal(ours[key], expected[key]) for key in expected)


def test_half_precision_shared_and_transposed_tensors(tmp_path):
    model = make("lora_dora").to(torch.bfloat16)
    layer = model.base_model.model.model.layers[0].self_attn
    shared = layer.q_proj.lora_A["default"]
    layer.v_proj.lora_A["default"].weight = shared.weight
    theirs = saved_by_peft(model, tmp_path / "theirs")  # PEFT 0.13 refuses what is transposed.
    weight = layer.q_proj.lora_B["default"].weight
    weight.data = weight.data.t().contiguous().t()
    ferrule.peft.save_pretrained(model, tmp_path / "ours")
    assert_same(model, theirs, tmp_path / "ours")


def test_mixed_models_are_saved_adapter_by_adapter(tmp_path):
    model = peft.get_peft_model(llama(), peft.LoraConfig(r=2, target_modules=["q_proj"]), mixed=True)
    model.add_adapter("loha", peft.LoHaConfig(r=2, target_modules=["v_proj"]))
    ferrule.peft.save_pretrained(model, tmp_path)
    for folder, kind, part in ((tmp_path, "LORA", "lora_A"), (tmp_path / "loha", "LOHA", "hada_w1_a")):
        assert peft.PeftConfig.from_pretrained(folder).peft_type == kind
        assert any(part in key for key in peft.load_peft_weights(folder))
    again = peft.PeftMixedModel.from_pretrained(llama(), tmp_path)
    again.load_adapter(tmp_path / "loha", "loha")


def test_injected_models_load_as_a_peft_model(tmp_path):
    model = llama()
    peft.inject_adapter_in_model(peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False), model)
    ferrule.peft.save_pretrained(model, tmp_path)
    again = ferrule.peft.from_pretrained(llama(), tmp_path)
    ours = peft.get_peft_model_state_dict(model, adapter_name="default")
    loaded = peft.get_peft_model_state_dict(again)
    assert {f"base_model.model.{key}" for key in ours} == set(loaded)
    assert all(torch.equal(value, loaded[f"base_model.model.{key}"]) for key, value in ours.items())


def test_the_base_model_is_not_touched(tmp_path):
    model = make("lora")
    for name, parameter in model.named_parameters():
        if ".lora_" not in name:  # What an offloaded base looks like: gathering it would fail.
            owner = model.get_submodule(name.rpartition(".")[0])
            owner._parameters[name.rpartition(".")[2]] = torch.nn.Parameter(parameter.to("meta"), requires_grad=False)
    ferrule.peft.save_pretrained(model, tmp_path)
    assert len(peft.load_peft_weights(tmp_path)) == 8


def test_the_live_config_is_left_as_peft_leaves_it(tmp_path):
    model = make("lora")
    model.base_model.model.name_or_path = "org/base"
    model.peft_config["default"].base_model_name_or_path = None
    model.save_pretrained(tmp_path / "theirs")
    expected = model.peft_config["default"].to_dict()
    model.peft_config["default"].base_model_name_or_path = None
    ferrule.peft.save_pretrained(model, tmp_path / "ours")
    assert model.peft_config["default"].to_dict() == expected


def test_compiled_models_and_wrapped_layers(tmp_path):
    model = make("lora")
    theirs = saved_by_peft(model, tmp_path / "theirs")
    ferrule.peft.save_pretrained(torch.compile(model), tmp_path / "compiled")
    assert_same(model, theirs, tmp_path / "compiled")
    layers = model.base_model.model.model.layers
    layers[0] = torch.compile(layers[0])
    ferrule.peft.save_pretrained(model, tmp_path / "inner")
    assert_same(model, theirs, tmp_path / "inner")
