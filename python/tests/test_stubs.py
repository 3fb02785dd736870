# SPDX-License-Identifier: Apache-2.0
"""The checked-in stub is what nanobind makes of the module: `UPDATE=1 pytest test_stubs.py` renews it."""

import ast
import importlib
import os
import pathlib
import subprocess
import sys

import ferrule
from conftest import ROOT

STUB = ROOT / "python/ferrule/_ferrule.pyi"

# The package says "ferrule" of its classes, and puts functions of Python in place of native ones; nanobind looks for
# those of the module itself.
MAKE = """
import sys
import ferrule._ferrule as native
from nanobind.stubgen import main
for value in vars(native).values():
    if isinstance(value, type):
        value.__module__ = native.__name__
        for name, member in list(vars(value).items()):
            if isinstance(member, staticmethod):
                setattr(value, name, member.__func__.__wrapped__)
main(sys.argv[1:])
"""


def test_the_stub_is_that_of_the_module(tmp_path):
    made = tmp_path / "_ferrule.pyi"
    subprocess.run([sys.executable, "-c", MAKE, "-q", "-m", "ferrule._ferrule", "-o", made], check=True)
    if os.environ.get("UPDATE"):
        STUB.write_text(made.read_text())
    assert made.read_text() == STUB.read_text()


def test_the_stub_knows_every_native_name():
    tree = ast.parse(STUB.read_text())
    named = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    named |= {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    native = importlib.import_module("ferrule._ferrule")
    assert {name for name in dir(native) if not name.startswith("_")} <= named


def test_all_lists_what_there_is():
    assert sorted(ferrule.__all__) == ferrule.__all__
    assert all(hasattr(ferrule, name) for name in ferrule.__all__)


def test_the_package_is_marked_as_typed():
    assert (pathlib.Path(ferrule.__file__).parent / "py.typed").exists()
