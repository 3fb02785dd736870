#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs python/tests/cluster on a local Ray cluster of two nodes.

    check_ray.py WORK    WORK is a folder for a virtual environment with the pinned Ray

Run it with the interpreter that has the packages of tools/requirements-test.txt, and PYTHONPATH naming a built package.
Installs Ray from a package registry the first time: part of ./test --all.
"""

import os
import pathlib
import subprocess
import sys
import sysconfig
import venv

PACKAGES = ["ray[data]==2.60.0", "pyarrow==26.0.1"]
TESTS = pathlib.Path(__file__).resolve().parent / "cluster"


def main():
    work = pathlib.Path(sys.argv[1]).resolve()
    home = work / "environment"
    stamp = home / "stamp"
    if not stamp.exists() or stamp.read_text() != " ".join(PACKAGES):
        venv.create(home, with_pip=True, clear=True)
        python = home / "bin/python"
        # pytest, moto and the Hub's client are those of the interpreter that runs this.
        site = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                              capture_output=True, text=True).stdout.strip()
        (pathlib.Path(site) / "reference.pth").write_text(sysconfig.get_path("purelib") + "\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
        stamp.write_text(" ".join(PACKAGES))
    command = [home / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS, *sys.argv[2:]]
    return subprocess.run(command, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}).returncode


if __name__ == "__main__":
    sys.exit(main())
