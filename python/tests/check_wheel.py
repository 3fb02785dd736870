#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel as a user's pip does, installs it into a fresh environment, and uses it there.

    check_wheel.py [INTERPRETER...]

A wheel of the stable ABI is built once, by the first interpreter that can, and installed for those after it. What is
used: the module with numpy, the command, and a push to the emulated Hub of tests/hub, which the interpreter that
runs this serves. Takes minutes: part of ./test --all. Needs a package registry for scikit-build-core and nanobind.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

USE = """
import pathlib, sys, ferrule
assert "torch" not in sys.modules and "numpy" not in sys.modules
package = pathlib.Path(ferrule.__file__).parent
assert package.is_relative_to(sys.prefix), package
adapter = ferrule.open(sys.argv[1])
assert adapter.config.peft_type == "LORA" and ferrule.verify(sys.argv[1]).good
arrays = adapter.state_dict("numpy", keys="disk")
assert sorted(arrays) == sorted(tensor.key for tensor in adapter.tensors)
import ferrule.numpy
ferrule.numpy.save_file(arrays, sys.argv[2])
assert (ferrule.numpy.load_file(sys.argv[2]).keys() == arrays.keys())
pushed = ferrule.push_to_hub(sys.argv[1], sys.argv[3])
assert pushed.uploaded and ferrule.push_to_hub(sys.argv[1], sys.argv[3]).commit == pushed.commit
try:
    ferrule.pull("ann/nothing")
except FileNotFoundError as error:
    assert error.status == 404 and error.rule == "HB-5", vars(error)
print(pushed.commit)
"""


def run(*command, **more):
    command = [str(part) for part in command]
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


class Hub:
    """tests/hub/emulator, in a process of its own."""

    def __enter__(self):
        command = [sys.executable, "-m", "emulator"]
        self.process = subprocess.Popen(command, cwd=ROOT / "tests/hub", text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        said = json.loads(self.process.stdout.readline())
        self.environment = {"HF_ENDPOINT": said["endpoint"], "HF_TOKEN": said["tokens"]["ann"], "NO_PROXY": "*"}
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def make_environment(interpreter, folder):
    run(interpreter, "-m", "venv", folder)
    python = folder / "bin/python"
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy")
    return python, tuple(map(int, run(python, "-c", "import sys; print(*sys.version_info[:2])").split()))


def build(python, folder, tag):
    start = time.monotonic()
    run(python, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    assert re.fullmatch(rf"ferrule-[0-9.]+-{tag}-linux_\w+\.whl", wheel.name), wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("py.typed", "_ferrule.pyi", "torch.py", "compat/safetensors/torch.py", "peft/_push.py"):
        assert f"ferrule/{wanted}" in names, wanted
    assert not [name for name in names if not name.startswith("ferrule")], names
    print(f"{wheel.name}: built in {time.monotonic() - start:.0f} s, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    return wheel


def use(python, wheel, folder, hub, repo_id):
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", wheel)
    adapter = next(path.parent for path in (ROOT / "tests/golden/cases/lora").rglob("adapter_model.safetensors"))
    environment = {"PATH": "/usr/bin:/bin", "HF_HOME": str(folder / "home"), **hub.environment}
    commit = run(python, "-c", USE, adapter, folder / "copy.safetensors", repo_id, env=environment).strip()
    command = python.parent / "ferrule"
    assert run(command, "--version").startswith("ferrule "), command
    assert "LORA" in run(command, "inspect", adapter)
    pulled = json.loads(run(command, "pull", repo_id, "-o", folder / "pulled", "--json", env=environment))
    assert pulled["commit"] == commit, pulled
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (folder / "pulled" / name).read_bytes() == (adapter / name).read_bytes(), name


def main():
    wheels = {}
    with tempfile.TemporaryDirectory() as temporary, Hub() as hub:
        for number, interpreter in enumerate(sys.argv[1:] or [sys.executable]):
            folder = pathlib.Path(temporary) / str(number)
            python, version = make_environment(interpreter, folder / "venv")
            tag = "cp312-abi3" if version >= (3, 12) else "cp{0}{1}-cp{0}{1}".format(*version)
            if tag not in wheels:
                wheels[tag] = build(python, folder, tag)
            use(python, wheels[tag], folder, hub, f"ann/wheel-{number}")
            print(f"{wheels[tag].name}: good with CPython {'.'.join(map(str, version))}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
