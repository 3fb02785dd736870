# SPDX-License-Identifier: Apache-2.0
"""Failures of the library as exceptions of Python."""

import copy
import errno
import os
import pickle

import ferrule
import pytest
from conftest import ROOT


def raised(function, *arguments, **keywords):
    with pytest.raises(ferrule.Error) as caught:
        function(*arguments, **keywords)
    return caught.value


def test_missing_directory_is_a_file_not_found_error():
    error = raised(ferrule.open, "/nowhere/at all")
    assert isinstance(error, FileNotFoundError)
    assert (error.code, error.rule, error.path, error.errno) == ("not_found", "", "/nowhere/at all", errno.ENOENT)
    assert str(error) == "/nowhere/at all: there is no such file or directory"
    assert error.filename == "/nowhere/at all"


def test_a_broken_rule_is_a_value_error_with_its_number():
    error = raised(ferrule.AdapterConfig.open, ROOT / "tests/malformed/CF-12-rank-zero.json")
    assert isinstance(error, ValueError) and not isinstance(error, OSError)
    assert type(error) is ferrule.CorruptError
    assert (error.code, error.rule) == ("corrupt", "CF-12")
    assert "[CF-12]" in str(error)


def test_no_permission_is_a_permission_error(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_config.json").chmod(0)
    user = os.geteuid()
    if user == 0:  # Root can read everything; the user nobody cannot.
        os.seteuid(65534)
    try:
        error = raised(ferrule.AdapterConfig.open, tmp_path)
    finally:
        os.seteuid(user)
    assert isinstance(error, PermissionError)


def test_a_refusal_of_the_system_is_an_os_error(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    error = raised(ferrule.SafetensorsFile.open, loop)
    assert isinstance(error, OSError) and error.errno == errno.ELOOP and error.code == "io"


def test_an_unknown_type_is_a_value_error_with_a_suggestion():
    error = raised(ferrule.AdapterConfig.make, "LORAX")
    assert type(error) is ferrule.InvalidArgumentError and isinstance(error, ValueError)
    assert 'did you mean "LORA"?' in str(error)


@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_errors_survive_pickling_and_copying(again):
    error = raised(ferrule.open, "/nowhere")
    other = again(error)
    assert type(other) is type(error) and str(other) == str(error)
    assert (other.code, other.rule, other.path, other.errno) == (error.code, error.rule, error.path, error.errno)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ferrule.open(3),
        lambda: ferrule.open(None),
        lambda: ferrule.verify(3.5),
        lambda: ferrule.inspect([]),
        lambda: ferrule.AdapterConfig.open(object()),
        lambda: ferrule.SafetensorsFile.open({}),
        lambda: ferrule.Checkpoint.open([3]),
    ],
)
def test_what_is_no_path_is_a_type_error_that_names_the_argument(call):
    with pytest.raises(TypeError, match="^path: expected str or os.PathLike, found "):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: ferrule.open(a, backing="ram"), 'backing: expected "map" or "copy", found "ram"'),
        (lambda a: ferrule.open(a).state_dict("jax"), 'framework: expected "torch" or "numpy", found "jax"'),
        (lambda a: ferrule.open(a).state_dict(keys="both"), 'keys: expected "live" or "disk", found "both"'),
    ],
)
def test_a_wrong_word_is_a_value_error_that_names_the_argument(lora, call, message):
    with pytest.raises(ValueError) as caught:
        call(lora)
    assert str(caught.value) == message


def test_names_that_are_no_utf8_are_kept(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff"
    assert os.fsencode(raised(ferrule.open, os.fsdecode(path)).path) == path
