#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of ferrule.peft with every PEFT from 0.13 to 0.21, each in an environment of its own.

    PYTHONPATH=build/dev/python .venv/bin/python tools/peft_versions.py WORK [VERSION...]

An environment is a folder on top of the one that runs this: that version of PEFT and, for those that are older than
transformers 5, the transformers of their time. WORK keeps them.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

OLD = ("transformers==4.56.2", "huggingface_hub==0.36.0", "tokenizers==0.22.1", "requests==2.34.2", "urllib3==2.8.0",
       "charset-normalizer==3.5.3", "idna==3.11", "certifi")
VERSIONS = {"0.13.2": OLD, "0.15.2": OLD, "0.17.1": OLD, "0.19.1": (), "0.20.0": (), "0.21.0": ()}
TESTS = Path(__file__).resolve().parents[1] / "python/tests/peft"
#: What is asked of every version; the rest asks about Ferrule, not about PEFT.
FILES = ("test_same_bytes.py", "test_loading.py", "test_patch.py")


def environment(work, version):
    folders = []
    for packages in filter(None, ((f"peft=={version}",), VERSIONS[version])):
        folder = work / packages[0].replace("==", "-")
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                            "--upgrade", "--target", folder, *packages], check=True)
            (folder / "complete").touch()
        folders.append(folder)
    return folders


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("versions", nargs="*", default=list(VERSIONS))
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    bad = []
    for version in arguments.versions:
        folders = environment(work, version)
        path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
        print(f"PEFT {version}", flush=True)
        found = subprocess.run([sys.executable, "-c", "import peft; print(peft.__version__)"], capture_output=True,
                               text=True, env={**os.environ, "PYTHONPATH": path})
        if found.stdout.strip() != version:
            sys.exit(f"the environment of {version} does not work: {found.stdout}{found.stderr}")
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--tb",
                               "short", *(TESTS / name for name in FILES)], env={**os.environ, "PYTHONPATH": path})
        if done.returncode != 0:
            bad.append(version)
    if bad:
        sys.exit(f"failed with PEFT {', '.join(bad)}")


if __name__ == "__main__":
    main()
