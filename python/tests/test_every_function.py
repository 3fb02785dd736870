# SPDX-License-Identifier: Apache-2.0
"""Every public function, by its signature: arguments of wrong types, paths of all types, malformed files, interruptions.

A function that is added without an entry in valid_arguments() fails here.
"""

import contextlib
import inspect
import json
import os
import pathlib
import re
import shutil

import ferrule
import ferrule.numpy
import numpy as np
import pytest
import torch
from conftest import ROOT
from test_reports import MODULES, assert_is_report, documents, tensors_of, write_adapter  # noqa: F401

MALFORMED = sorted((ROOT / "tests/malformed").iterdir())
FUNCTIONS = {name: getattr(ferrule, name) for name in ferrule.__all__
             if inspect.isroutine(getattr(ferrule, name)) and inspect.signature(getattr(ferrule, name)).parameters}
#: push_to_hub is push; what asks the Hub first is tested in hub/.
del FUNCTIONS["push_to_hub"], FUNCTIONS["pull"]


def live_state():
    return {key.replace(".weight", ".default.weight"): torch.from_numpy(tensor)
            for key, tensor in tensors_of(MODULES).items()}


class Place:
    """What the calls read, and where they write."""

    def __init__(self, folder):
        self.folder = folder
        self.adapter = write_adapter(folder / "adapter")
        self.config = self.adapter / "adapter_config.json"
        self.weights = self.adapter / "adapter_model.safetensors"
        self.base = self.make_base("base", 0)
        self.tuned = self.make_base("tuned", 1)
        self.checkpoint = folder / "checkpoint.ckpt"
        state = {f"model.{key}": tensor for key, tensor in live_state().items()}
        torch.save({"state_dict": state, "pytorch-lightning_version": "2.6.0", "global_step": 3, "epoch": 1},
                   self.checkpoint)
        self.shards = folder / "shards"
        ferrule.save_shard(live_state(), self.shards, rank=0, world_size=1, run_id="run", config=self.adapter)
        self.before = sorted(path.name for path in folder.iterdir())
        self.output = folder / "out"

    def make_base(self, name, seed):
        path = self.folder / name
        path.mkdir()
        random = np.random.default_rng(seed)
        ferrule.numpy.save_file({f"{module}.weight": random.standard_normal((8, 8), dtype=np.float32)
                                 for module in MODULES}, path / "model.safetensors")
        (path / "config.json").write_text('{"architectures": ["Tiny"], "model_type": "tiny"}')
        return path

    def valid_arguments(self):
        a, b, out = self.adapter, self.base, self.output
        return {
            "assemble": {"directory": self.shards, "output": out, "config": self.config},
            "check": {"adapter": a, "base": b},
            "clean": {"directory": a},
            "combine": {"adapters": [a, a], "output": out, "method": "svd", "rank": 2},
            "content_id": {"adapter": a},
            "convert": {"adapter": a, "output": out},
            "diff": {"a": a, "b": a},
            "explain": {"adapter": a},
            "extract": {"base": b, "tuned": self.tuned, "output": out, "rank": 2},
            "fix": {"adapter": a, "output": out},
            "inspect": {"path": a},
            "merge": {"adapters": a, "base": b, "output": out},
            "method_roles": {"peft_type": "LORA"},
            "normalize": {"adapter": a, "output": out},
            "open": {"path": a},
            "publish": {"adapter": a, "root": out},
            "publish_tensors": {"tensors": {"x": np.ones(3)}, "root": out},
            "push": {"directory": a, "repo_id": "me/x", "dry_run": True},
            "rescue": {"checkpoint": self.checkpoint, "output": out, "config": self.config},
            "resize": {"adapter": a, "output": out, "rank": 2},
            "save": {"state": a, "directory": out, "config": self.config},
            "save_shard": {"model_or_state": live_state(), "directory": out, "rank": 0, "world_size": 1,
                           "run_id": "run", "config": a},
            "scan": {"path": a},
            "state_dict": {"adapter": a, "output": out},
            "to_lora": {"adapter": a, "output": out, "rank": 2},
            "unmerge": {"adapters": a, "merged": b, "output": out},
            "verify": {"path": a},
        }

    def left(self):
        """What is there besides what was there before and the output; hidden files at any depth."""
        return [path for path in self.folder.rglob("*") if path.name.startswith(".ferrule")] + [
            path for path in self.folder.iterdir() if path.name not in self.before and path != self.output]

    def clear(self):
        if self.output.is_file():
            self.output.unlink()
        shutil.rmtree(self.output, ignore_errors=True)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_every_function_is_here(place):
    assert sorted(place.valid_arguments()) == sorted(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_of_a_wrong_type_is_named(place, name):
    function, valid = FUNCTIONS[name], place.valid_arguments()[name]
    wrong = []
    for argument, parameter in inspect.signature(function).parameters.items():
        values = [object(), "1" if "float" in str(parameter.annotation) else 1.5]
        if not {"None", "ProgressBar"} & set(re.findall(r"\w+", str(parameter.annotation))):
            values.append(None)
        for value in values:
            try:
                function(**{**valid, argument: value})
            except TypeError as error:
                if not str(error).startswith(argument):
                    wrong.append(f"{argument}={value!r}: {error}")
            except Exception as error:
                wrong.append(f"{argument}={value!r}: {type(error).__name__}: {error}")
            else:
                wrong.append(f"{argument}={value!r} was taken")
    assert not wrong, "\n".join(wrong)
    assert not place.output.exists() and not place.left()


def with_paths(value, make):
    """The same arguments with other objects for paths."""
    if isinstance(value, pathlib.Path):
        return make(value)
    if isinstance(value, dict):
        return {key: with_paths(item, make) for key, item in value.items()}
    return [with_paths(item, make) for item in value] if isinstance(value, list) else value


class Pathlike:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_path_may_be_a_str_bytes_or_an_object(place, name):
    def result(make):
        place.clear()
        found = FUNCTIONS[name](**with_paths(place.valid_arguments()[name], make))
        return found.to_dict() if hasattr(found, "to_dict") else found if isinstance(found, str) else type(found)

    expected = result(str)
    for make in (lambda path: path, os.fsencode, Pathlike):
        assert result(make) == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_path_with_a_nul_is_an_error(place, name):
    valid = place.valid_arguments()[name]
    for argument, value in valid.items():
        if isinstance(value, pathlib.Path):
            with pytest.raises(ValueError):
                FUNCTIONS[name](**{**valid, argument: "a\0b"})
    assert not place.output.exists() and not place.left()


def malformed_folder(path, place, folder):
    """An adapter with that file in the place of its own."""
    shutil.copytree(path if path.is_dir() else place.adapter, folder)
    if path.is_dir():
        shutil.copy(place.config, folder)
        return folder
    names = {".json": "adapter_config.json", ".md": "README.md", ".safetensors": "adapter_model.safetensors",
             ".bin": "adapter_model.bin"}
    if path.suffix == ".bin":
        (folder / "adapter_model.safetensors").unlink()
    shutil.copy(path, folder / names[path.suffix])
    return folder


@pytest.mark.parametrize("name", sorted({*FUNCTIONS} - {"publish_tensors", "clean"}))
def test_malformed_files_are_reports_or_errors_and_leave_nothing(place, tmp_path_factory, name):
    folders = tmp_path_factory.mktemp("malformed")
    valid = place.valid_arguments()[name]
    if "durability" in inspect.signature(FUNCTIONS[name]).parameters:
        valid["durability"] = "fast"
    for number, path in enumerate(MALFORMED):
        bad = malformed_folder(path, place, folders / str(number))
        for read, given in ((place.adapter, bad), (place.base, bad), (place.shards, bad), (place.checkpoint, path),
                            (place.config, path)):
            arguments = with_paths(valid, lambda value: given if value == read else value)
            if arguments == valid:
                continue
            try:
                FUNCTIONS[name](**arguments)
            except ferrule.Error as error:
                assert error.rule or error.code in ("io", "not_found", "unsupported", "invalid_argument"), (path, error)
                assert not place.output.exists(), (path, error)
            place.clear()
    assert not place.left()


#: What the command is told for the same; those without one have no document.
WORDS = {
    "assemble": "assemble {shards} -o {output} --config {config}",
    "check": "check {adapter} --base {base}",
    "clean": "clean {adapter}",
    "combine": "combine {adapter} {adapter} -o {output} --method svd --rank 2",
    "convert": "convert {adapter} -o {output}",
    "diff": "diff {adapter} {adapter}",
    "explain": "explain {adapter}",
    "extract": "extract --base {base} --tuned {tuned} -o {output} --rank 2",
    "fix": "fix {adapter} -o {output}",
    "inspect": "inspect {adapter}",
    "merge": "merge {adapter} --base {base} -o {output}",
    "normalize": "normalize {adapter} -o {output}",
    "publish": "publish {adapter} {output}",
    "push": "push {adapter} me/x --dry-run",
    "rescue": "rescue {checkpoint} -o {output} --config {config}",
    "resize": "resize {adapter} -o {output} --rank 2",
    "save": "save {adapter} -o {output} --config {config}",
    "scan": "scan {adapter}",
    "state_dict": "state-dict {adapter} -o {output}",
    "to_lora": "to-lora {adapter} -o {output} --rank 2",
    "unmerge": "unmerge {adapter} --base {base} -o {output}",
    "verify": "verify {adapter}",
}
#: The same functions with other reports.
MORE = {
    "convert to PEFT": ("convert", {"to": "peft"}, "--to peft"),
    "inspect of a folder": ("inspect", {"path": "folder"}, "inspect {folder}"),
    "inspect of a file": ("inspect", {"path": "weights"}, "inspect {weights}"),
}


def test_every_report_is_a_document():
    reports = {name for name, function in FUNCTIONS.items()
               if "Report" in str(inspect.signature(function).return_annotation)
               or "Summary" in str(inspect.signature(function).return_annotation)}
    assert reports - set(WORDS) == {"publish_tensors", "save_shard"}


@pytest.mark.parametrize("case", [*WORDS, *MORE])
def test_a_report_is_the_document_of_the_command(place, documents, case):  # noqa: F811
    name, more, words = MORE.get(case, (case, {}, ""))
    arguments = place.valid_arguments()[name]
    for argument, value in more.items():
        arguments[argument] = getattr(place, value, value)
    words = words if "{" in words else f"{WORDS[name]} {words}"
    theirs = place.folder / "theirs"
    report = FUNCTIONS[name](**arguments)
    places = {**vars(place), "output": theirs}
    document = documents(*[word.format(**places) for word in words.split()])
    document = json.loads(json.dumps(document).replace(str(theirs), str(place.output)))
    if isinstance(report, ferrule.FolderSummary):  # Each adapter has its own.
        assert report.to_dict() == document and report.findings
    else:
        assert_is_report(report, document)
        report.raise_for_errors()


class Interrupting:
    total = None

    def update(self, n):
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items()
                                  if "progress" in inspect.signature(function).parameters])
def test_an_interrupted_call_leaves_nothing_behind(place, name):
    valid = place.valid_arguments()[name]
    with contextlib.suppress(KeyboardInterrupt):  # Some have nothing to tell of so little.
        FUNCTIONS[name](**valid, progress=Interrupting())
    # What an interrupted merge had completed can be resumed.
    assert not [path for path in place.left() if path.name != ".out.ferrule-work"]
    place.clear()
    FUNCTIONS[name](**valid)
    assert not place.left()


@pytest.mark.parametrize("name", ["check", "content_id", "diff", "explain", "state_dict"])
def test_a_closed_adapter_says_so(place, name):
    closed = ferrule.open(place.adapter)
    closed.close()
    valid = place.valid_arguments()[name]
    with pytest.raises(ValueError, match="closed"):
        FUNCTIONS[name](**{**valid, next(iter(valid)): closed})


@pytest.mark.parametrize(("name", "argument"), [("verify", "path"), ("scan", "path"), ("combine", "adapters"),
                                                ("merge", "adapters")])
def test_no_path_at_all_is_not_good(place, name, argument):
    valid = place.valid_arguments()[name]
    for none in ([], (), iter([])):
        with pytest.raises(ferrule.InvalidArgumentError, match=f"^{argument}: expected one or more, found none$"):
            FUNCTIONS[name](**{**valid, argument: none})


@pytest.mark.parametrize("name", ["combine", "extract", "resize", "to_lora"])
def test_a_rank_of_nothing_is_named(place, name):
    for rank in (0, -2):
        with pytest.raises(ferrule.InvalidArgumentError, match=f"^rank: expected an int of 1 or more, found {rank}$"):
            FUNCTIONS[name](**{**place.valid_arguments()[name], "rank": rank})


def test_convert_takes_the_format_by_both_of_its_names(place):
    ferrule.convert(place.adapter, place.output, format="bin")
    assert (place.output / "adapter_model.bin").exists()
    with pytest.raises(ferrule.InvalidArgumentError, match="^format: it is another name of `to`, which is 'peft'$"):
        ferrule.convert(place.adapter, place.output, to="peft", format="bin")
