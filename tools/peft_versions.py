#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of ferrule.peft with every PEFT from 0.13 to 0.21, each in an environment of its own.

    PYTHONPATH=build/dev/python .venv/bin/python tools/peft_versions.py WORK [VERSION...]

An environment is a folder on top of the one that runs this: that version of PEFT and, for those that are older than
transformers 5, the transformers of their time. WORK keeps them. Each version is told of in a line; one that cannot be
brought or does not import counts as failed, and so does one whose tests were not all run.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLD = ("transformers==4.56.2", "huggingface_hub==0.36.0", "tokenizers==0.22.1", "requests==2.34.2", "urllib3==2.8.0",
       "charset-normalizer==3.5.3", "idna==3.11", "certifi")
VERSIONS = {"0.13.2": OLD, "0.15.2": OLD, "0.17.1": OLD, "0.19.1": (), "0.20.0": (), "0.21.0": (), "0.21.2": ()}
TESTS = Path(__file__).resolve().parents[1] / "python/tests"
#: What is asked of every version; the rest asks about Ferrule, not about PEFT.
FILES = ("peft/test_same_bytes.py", "peft/test_loading.py", "peft/test_patch.py")
#: The Hub's are a process of their own (python/CMakeLists.txt).
HUB = ("hub/test_peft.py",)


def environment(work, version):
    folders = []
    for packages in filter(None, ((f"peft=={version}",), VERSIONS[version])):
        folder = work / packages[0].replace("==", "-")
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)  # What an interrupted download left.
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                            "--target", folder, *packages], check=True)
            (folder / "complete").touch()
        folders.append(folder)
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def installed(env):
    """The version of PEFT there, and which methods of the tests' it lacks."""
    code = "import peft, models; print(peft.__version__, ' '.join(models.ABSENT) or 'none')"
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=TESTS / "peft", capture_output=True,
                           text=True, env=env)
    said = ended.stdout.split(maxsplit=1)
    return said if ended.returncode == 0 and len(said) == 2 else (f"nothing: {ended.stdout}{ended.stderr}", "")


def tests(env, files):
    """Whether all passed, and pytest's own count."""
    ended = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--tb",
                            "short", *(TESTS / name for name in files)], env=env, stdout=subprocess.PIPE, text=True)
    last = ended.stdout.strip().splitlines()[-1] if ended.stdout.strip() else "no output"
    if ended.returncode != 0:
        print(ended.stdout)
    return ended.returncode == 0 and "skipped" not in last, last


def check(work, version):
    """The line to print of a version; raises where it fails."""
    env = environment(work, version)
    found, absent = installed(env)
    if found != version:
        raise RuntimeError(f"expected PEFT {version}, found {found}")
    counts = []
    for files in (FILES, HUB):
        good, count = tests(env, files)
        if not good:
            raise RuntimeError(count)
        counts.append(count)
    return f"{'; '.join(counts)}; without {absent.strip()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("versions", nargs="*", default=list(VERSIONS))
    arguments = parser.parse_args()
    unknown = [version for version in arguments.versions if version not in VERSIONS]
    if unknown:
        parser.error(f"no environment is known for PEFT {', '.join(unknown)}")
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bad = []
    for version in arguments.versions:
        try:
            line = check(work, version)
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            bad.append(version)
            line = f"FAILED: {error}"
        print(f"PEFT {version}: {line}", flush=True)
    if bad:
        sys.exit(f"failed with PEFT {', '.join(bad)}")


if __name__ == "__main__":
    main()
