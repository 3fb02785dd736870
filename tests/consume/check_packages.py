#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the Debian packages, the components of `cmake --install` and the command of one file, and uses them.

    check_packages.py [--build DIR]

DIR is a build folder of the preset "release" (default: build/release). The command of one file runs in a bare system of
this release, in which nothing is installed; then the packages are installed, used and removed there, and programs are built against them. Takes minutes:
./test packages. Needs root (or sudo) with debootstrap.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from debian_root import DebianRoot, release_here, run, why_not  # noqa: E402

ADAPTER = ROOT / "tests/golden/cases/lora/expected"
SHARE = ("man/man1/ferrule.1", "bash-completion/completions/ferrule", "zsh/site-functions/_ferrule",
         "fish/vendor_completions.d/ferrule.fish", "ferrule/engines.json", "doc/ferrule/copyright")
# What every glibc system has.
LIBC = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"}


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


USE = """
ferrule --version
ferrule verify /adapter
ferrule convert /adapter -o /tmp/bin --to bin
ferrule diff /adapter /tmp/bin --exit-code
"""


#: Programs of strangers, against the installed packages.
BUILD = """
cmake -S /consume/find_package -B /tmp/stranger
cmake --build /tmp/stranger
/tmp/stranger/stranger
cmake -S /consume/find_package_c -B /tmp/stranger_c
cmake --build /tmp/stranger_c
/tmp/stranger_c/stranger
g++ -std=c++20 /consume/find_package/main.cpp -o /tmp/by_pkg_config $(pkg-config --cflags --libs --static ferrule)
/tmp/by_pkg_config
"""


def check_debs_in(bare, packages):
    for path in packages.values():
        bare.put(path, f"tmp/{path.name}")
    runtime, dev = (f"/tmp/{packages[name].name}" for name in ("ferrule", "libferrule-dev"))
    install = "apt-get install -q -y --no-install-recommends"
    bare.run(f"apt-get update -q && {install} {runtime}\n{USE}\nls /usr/share/man/man1/ferrule.1*")
    print(f"{packages['ferrule'].name}: installed and used in a bare system", flush=True)
    for name in ("find_package", "find_package_c"):
        bare.put(ROOT / "tests/consume" / name, f"consume/{name}")
    bare.run(f"{install} g++ cmake make && {install} {dev}")
    assert bare.run(BUILD).count("LORA, ferrule ") == 3
    bare.run("apt-get purge -q -y libferrule-dev ferrule && ! ls /usr/bin/ferrule /usr/include/ferrule")
    print(f"{packages['libferrule-dev'].name}: programs are built against it there; both removed", flush=True)


def check_one_file(build, bare):
    configure(build, FERRULE_STATIC="ON")
    run("cmake", "--build", build, "--target", "ferrule_cli")
    command = build / "cli/ferrule"
    use(command)
    needed = set(re.findall(r"^\s*(\S+\.so\S*)", run("ldd", command), re.MULTILINE))
    needed = {name for name in needed if not name.startswith("/lib")}
    assert needed <= LIBC, needed
    bare.put(command, "usr/local/bin/ferrule")
    bare.run(f"{USE}\nrm -r /tmp/bin /usr/local/bin/ferrule")
    print(f"one file, {command.stat().st_size / 1e6:.1f} MB: good in a bare system", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    build = parser.parse_args().build.resolve()
    if why_not():
        sys.exit(f"Packages are used in a bare system, which cannot be made: {why_not()}")
    with tempfile.TemporaryDirectory() as temporary, DebianRoot(release_here()) as bare:
        bare.put(ADAPTER, "adapter")
        check_one_file(build, bare)
        configure(build, FERRULE_STATIC="OFF")
        run("cmake", "--build", build)
        check_components(build, pathlib.Path(temporary))
        check_debs_in(bare, check_debs(build))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout[-4000:]}\n{error.stderr[-4000:]}")
