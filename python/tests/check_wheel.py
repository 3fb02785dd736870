#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel as a user's pip does, installs it into a fresh environment, and uses it there.

    check_wheel.py [INTERPRETER...]

Takes minutes: part of ./test --all. Needs a package registry for scikit-build-core and nanobind.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

USE = """
import pathlib, sys, ferrule
assert "torch" not in sys.modules and "numpy" not in sys.modules
package = pathlib.Path(ferrule.__file__).parent
assert package.is_relative_to(sys.prefix), package
adapter = ferrule.open(sys.argv[1])
print(adapter.config.peft_type, len(adapter.tensors), ferrule.verify(sys.argv[1]).good)
"""


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def check(interpreter, folder):
    run(interpreter, "-m", "venv", folder / "venv")
    python = folder / "venv/bin/python"
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    version = tuple(map(int, run(python, "-c", "import sys; print(*sys.version_info[:2])").split()))
    tag = "cp312-abi3" if version >= (3, 12) else "cp{0}{1}-cp{0}{1}".format(*version)
    assert re.fullmatch(rf"ferrule-[0-9.]+-{tag}-linux_\w+\.whl", wheel.name), wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("ferrule/py.typed", "ferrule/_ferrule.pyi", "ferrule/torch.py", "ferrule/compat/safetensors/torch.py"):
        assert wanted in names, wanted
    assert not [name for name in names if not name.startswith("ferrule")], names
    run(python, "-m", "pip", "install", "-q", "--no-deps", wheel)
    adapter = next(path.parent for path in (ROOT / "tests/golden/cases/lora").rglob("adapter_model.safetensors"))
    said = run(python, "-c", USE, adapter)
    assert said.split()[0] == "LORA" and said.split()[2] == "True", said
    command = folder / "venv/bin/ferrule"
    assert run(command, "--version").startswith("ferrule "), command
    assert "LORA" in run(command, "inspect", adapter)
    print(f"{wheel.name}: good")


def main():
    for interpreter in sys.argv[1:] or [sys.executable]:
        with tempfile.TemporaryDirectory() as folder:
            check(interpreter, pathlib.Path(folder))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
