#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the Debian packages, the components of `cmake --install` and the command of one file, and uses them.

    check_packages.py [--build DIR]

DIR is a build folder of the preset "release" (default: build/release). Root with debootstrap also installs and uses the
packages in a bare system of this release, and runs the command of one file in one that has nothing installed. Takes
minutes: ./test packages.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "tests/golden/cases/lora/expected"
SHARE = ("man/man1/ferrule.1", "bash-completion/completions/ferrule", "zsh/site-functions/_ferrule",
         "fish/vendor_completions.d/ferrule.fish", "ferrule/engines.json")
# What every glibc system has.
LIBC = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"}


def run(*command, **more):
    command = [str(part) for part in command]
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def configure(build, **options):
    run("cmake", "--preset", "release", "-B", build, "-DCMAKE_INSTALL_PREFIX=/usr",
        *(f"-D{name}={value}" for name, value in options.items()), cwd=ROOT)


def use(command):
    assert run(command, "--version").startswith("ferrule ")
    assert json.loads(run(command, "inspect", ADAPTER, "--json"))["good"]


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def check_components(build, folder):
    runtime, dev = folder / "runtime", folder / "dev"
    for component in (runtime, dev):
        run("cmake", "--install", build, "--component", component.name, "--prefix", component)
    use(runtime / "bin/ferrule")
    for path in SHARE:
        assert any(name.endswith(path) for name in files_below(runtime)), path
    assert not [name for name in files_below(runtime) if name.startswith("include") or name.endswith((".a", ".cmake", ".pc"))]
    names = files_below(dev)
    for wanted in ("include/ferrule/ferrule.hpp", "ferrule-config.cmake", "pkgconfig/ferrule.pc", "libferrule.a"):
        assert any(name.endswith(wanted) for name in names), wanted
    assert not [name for name in names if name.startswith(("bin", "share/man"))], names
    print("components runtime and dev: good", flush=True)


def check_debs(build):
    run("cpack", cwd=build)
    packages = {path.name.partition("_")[0]: path for path in build.glob("*.deb")}
    assert packages.keys() == {"ferrule", "libferrule-dev"}, packages
    depends = run("dpkg-deb", "-f", packages["ferrule"], "Depends")
    for library in ("libc6", "libpcre2-8-0", "libdeflate0", "libssl3", "libyaml-cpp"):
        assert library in depends, depends
    listed = run("dpkg-deb", "-c", packages["ferrule"])
    for path in ("./usr/bin/ferrule", *(f"./usr/share/{path}" for path in SHARE)):
        assert re.search(rf" {re.escape(path)}(\.gz)?$", listed, re.MULTILINE), path
    print(f"{packages['ferrule'].name}: depends on {depends.strip()}", flush=True)
    return packages


class BareSystem:
    """A system of this machine's release with nothing but what every one has."""

    def __init__(self, folder):
        self.root = folder / "bare"
        release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
        run("debootstrap", "--variant=minbase", release["VERSION_CODENAME"], self.root)
        shutil.copytree(ADAPTER, self.root / "adapter")

    def run(self, script):
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive",
                       "LC_ALL": "C.UTF-8"}
        return run("chroot", self.root, "/bin/sh", "-ec", script, env=environment)


USE = """
ferrule --version
ferrule verify /adapter
ferrule convert /adapter -o /tmp/bin --to bin
ferrule diff /adapter /tmp/bin --exit-code
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    build = parser.parse_args().build.resolve()
    bare = None
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if os.geteuid() == 0 and shutil.which("debootstrap"):
            bare = BareSystem(folder)
        else:
            print("NOT RUN: a bare system (needs root and debootstrap)", file=sys.stderr)
        configure(build, FERRULE_STATIC="ON")
        run("cmake", "--build", build, "--target", "ferrule_cli")
        command = build / "cli/ferrule"
        use(command)
        needed = set(re.findall(r"^\s*(\S+\.so\S*)", run("ldd", command), re.MULTILINE))
        needed = {name for name in needed if not name.startswith("/lib")}
        assert needed <= LIBC, needed
        if bare:
            shutil.copy(command, bare.root / "usr/local/bin/ferrule")
            bare.run(USE)
            (bare.root / "usr/local/bin/ferrule").unlink()
        print(f"one file, {command.stat().st_size / 1e6:.1f} MB: good", flush=True)

        configure(build, FERRULE_STATIC="OFF")
        run("cmake", "--build", build)
        check_components(build, folder)
        packages = check_debs(build)
        if bare:
            for path in packages.values():
                shutil.copy(path, bare.root / "tmp")
            bare.run(f"apt-get update -q && rm -rf /tmp/bin && apt-get install -q -y --no-install-recommends "
                     f"/tmp/{packages['ferrule'].name}\n{USE}\nls /usr/share/man/man1/ferrule.1* && apt-get purge -q -y ferrule")
            print(f"{packages['ferrule'].name}: installed, used and removed in a bare system", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
