# SPDX-License-Identifier: Apache-2.0
"""What a user sees of the package besides results: names, signatures, misspelled keywords, lines of warnings."""

import inspect
import pydoc
import subprocess
import sys
import warnings

import ferrule
import ferrule.numpy
import numpy
import pytest

FUNCTIONS = [getattr(ferrule, name) for name in ferrule.__all__ if inspect.isroutine(getattr(ferrule, name))]
CLASSES = [getattr(ferrule, name) for name in ferrule.__all__ if inspect.isclass(getattr(ferrule, name))]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_have_a_signature_and_help(function):
    assert inspect.signature(function)
    assert function.__doc__
    assert "nb_func object" not in pydoc.render_doc(function)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_classes_say_where_they_are_found(kind):
    assert kind.__module__ == "ferrule" and getattr(ferrule, kind.__name__) is kind
    assert kind.__doc__
    if issubclass(kind, BaseException) or kind.__init__ is not object.__init__:
        assert inspect.signature(kind) is not None
    for name, member in inspect.getmembers(kind, callable):
        if not name.startswith("_") and not inspect.isclass(member) and not hasattr(BaseException, name):
            assert inspect.signature(member), name
            assert "nb_func object" not in pydoc.render_doc(member), name
    pydoc.render_doc(kind)


@pytest.mark.parametrize(("call", "meant"), [
    (lambda: ferrule.save({}, "x", "y", durabilty="full"), "durability"),
    (lambda: ferrule.convert("x", "y", torchkey="a"), "torch_key"),
    (lambda: ferrule.check("x", engine=["vllm"]), "engines"),
    (lambda: ferrule.push("x", "y", privat=True), "private"),
    (lambda: ferrule.open("x", backings="map"), "backing"),
])
def test_a_misspelled_keyword_is_a_type_error_with_the_right_one(call, meant):
    with pytest.raises(TypeError, match=f"got an unexpected keyword argument .*; did you mean '{meant}'"):
        call()


def test_a_keyword_that_is_like_no_other_is_a_type_error():
    with pytest.raises(TypeError, match="convert.* got an unexpected keyword argument 'xyz'$"):
        ferrule.convert("x", "y", xyz=1)


@pytest.mark.parametrize(("kind", "how"), [
    (ferrule.Adapter, "ferrule.open"), (ferrule.AdapterConfig, "AdapterConfig.make"), (ferrule.BaseModel, "BaseModel.open"),
    (ferrule.Checkpoint, "Checkpoint.open"), (ferrule.SafetensorsFile, "SafetensorsFile.open"),
    (ferrule.PublishedReader, "PublishedReader.open"), (ferrule.Module, "ferrule.open"),
])
def test_a_class_that_has_no_constructor_says_how_to_get_one(kind, how):
    with pytest.raises(TypeError, match=how):
        kind()


@pytest.mark.parametrize(("call", "argument"), [
    (lambda: ferrule.open("x", backing=3), "backing"), (lambda: ferrule.open("x", torch_key=3), "torch_key"),
    (lambda: ferrule.AdapterConfig.make(3), "peft_type"), (lambda: ferrule.AdapterConfig.parse(b"{}"), "json"),
])
def test_a_wrong_type_names_the_argument(call, argument):
    with pytest.raises(TypeError, match=rf"^{argument}: expected str, found "):
        call()


@pytest.mark.parametrize("call", [
    lambda a: ferrule.open(a, backing="mmap"), lambda a: ferrule.convert(a, "x", durability="Safe"),
    lambda a: ferrule.convert(a, "x", to="ggfu"), lambda a: ferrule.AdapterConfig.make("LORA", r="16"),
    lambda a: ferrule.open(a).state_dict("tensorflow"), lambda a: ferrule.open(a).state_dict("numpy", keys="dead"),
    lambda a: ferrule.scan(a, fail_on="never"), lambda a: ferrule.verify(a, id="abc"),
    lambda a: ferrule.save({}, "x", {}),
])
def test_every_wrong_value_is_the_same_exception(call, lora):
    with pytest.raises(ferrule.InvalidArgumentError) as caught:
        call(lora)
    assert isinstance(caught.value, ValueError)


def test_an_error_shows_its_path():
    with pytest.raises(ferrule.NotFoundError) as caught:
        ferrule.open("/no such place")
    assert "/no such place" in repr(caught.value) and repr(caught.value).startswith("NotFoundError(")


def test_warnings_show_the_callers_line():
    from ferrule._warnings import warn

    # A frame of the package between the caller and the warning.
    inner = eval("lambda: warn('x')", {"__name__": "ferrule._verbs", "warn": warn})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inner()
    assert caught[0].filename == __file__


def test_typing_is_not_imported():
    program = "import sys; before = set(sys.modules); import ferrule; print(*sorted(set(sys.modules) - before))"
    made = subprocess.run([sys.executable, "-S", "-c", "import sys; sys.path.insert(0, %r); exec(%r)" % (
        str(__import__("pathlib").Path(ferrule.__file__).parents[1]), program)], check=True, capture_output=True,
        text=True).stdout.split()
    assert not {"typing", "inspect", "re", "dataclasses", "importlib.metadata"} & set(made), made


def test_a_plain_state_needs_no_import_of_torch_distributed(tmp_path):
    """It takes seconds."""
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}')
    program = """
import sys, torch, ferrule
state = {f"base_model.model.q_proj.lora_{side}.default.weight": torch.ones(2, 2) for side in "AB"}
report = ferrule.save_shard(state, sys.argv[1] + "/shards", rank=0, world_size=1, run_id="run", config=sys.argv[1])
assert report.to_dict() and "torch.distributed.tensor" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_what_was_opened_shows_where_it_is(tmp_path):
    tensors = {f"base_model.model.q_proj.lora_{side}.weight": numpy.ones((2, 2), "float32") for side in "AB"}
    ferrule.numpy.save_file(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}')
    ferrule.publish(tmp_path, tmp_path / "out")
    for one in (ferrule.open(tmp_path), ferrule.Checkpoint.open(tmp_path), ferrule.PublishedReader.open(tmp_path / "out"),
                ferrule.SafetensorsFile.open(tmp_path / "adapter_model.safetensors")):
        assert repr(one).startswith(f"<ferrule.{type(one).__name__} ") and str(tmp_path) in repr(one)
