#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs PEFT's own tests with saving and loading done by Ferrule (ferrule.peft.patch(native=True)).

    PYTHONPATH=build/dev/python .venv/bin/python tools/peft_suite/run.py WORK [--all] [--jobs N]

WORK keeps PEFT's source distribution, which pip brings once, and the small random models that its tests name,
made once. Without --all a broad choice runs: of the tests that save or load one in three, and one in dozens of those
that are made for hundreds of models and methods. A test that fails is run again without Ferrule; only one that passes then counts against us.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The source distribution has the tests without their conftest: the option and the marker that they expect.
CONFTEST = """
import pytest


def pytest_addoption(parser):
    parser.addoption("--regression", action="store_true", default=False)


def pytest_configure(config):
    config.addinivalue_line("markers", "regression: regression tests")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "regression" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="regression"))
"""


def pinned_version():
    for line in (HERE.parent / "requirements-test.txt").read_text().splitlines():
        if line.startswith("peft=="):
            return line.strip()
    sys.exit("tools/requirements-test.txt pins no peft")


def fetch_tests(work):
    """PEFT's tests, out of its source distribution."""
    pin = pinned_version()
    tests = work / pin.replace("==", "-") / "tests"
    if tests.is_dir():
        return tests
    with tempfile.TemporaryDirectory(dir=work) as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                        "--no-build-isolation", "--no-binary", ":all:", pin, "-d", folder], check=True)
        archive, = Path(folder).glob("peft-*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, [member for member in tar.getmembers() if "/tests/" in member.name])
        unpacked, = Path(folder).glob("peft-*/tests")
        (unpacked / "conftest.py").write_text(CONFTEST)
        (unpacked / "__init__.py").touch()
        tests.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(unpacked, tests)
    return tests


def make_models(work):
    home = work / "hub_home"
    if not (home / "complete").exists():
        subprocess.run([sys.executable, HERE / "make_models.py", home], check=True, stdout=subprocess.DEVNULL)
        (home / "complete").touch()
    return home


class Run:
    def __init__(self, work, jobs):
        self.tests = fetch_tests(work)
        self.home = make_models(work)
        self.work = work
        self.jobs = jobs

    def __call__(self, name, *, native, only=None, everything=False):
        """Outcome of each test: passed, failed or skipped."""
        result = self.work / f"{name}.xml"
        result.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "HF_HOME": str(self.home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            "FERRULE_SUITE_NATIVE": "1" if native else "", "FERRULE_SUITE_ALL": "1" if everything else "",
            "FERRULE_SUITE_ONLY": "",
        }
        if only is not None:
            (self.work / "only.txt").write_text("\n".join(only))
            environment["FERRULE_SUITE_ONLY"] = str(self.work / "only.txt")
        with tempfile.TemporaryDirectory() as scratch, open(self.work / f"{name}.log", "w") as log:
            environment["TMPDIR"] = scratch
            files = sorted({key.partition("::")[0] for key in only}) if only is not None else ["tests"]
            subprocess.run(
                [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", ".", "-q", "-p", "no:cacheprovider",
                 "-p", "no:warnings", "-p", "suite_plugin", "-n", str(self.jobs), "--max-worker-restart", "100",
                 "--continue-on-collection-errors", "--tb", "short", f"--junitxml={result}", *files],
                cwd=self.tests.parent, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
        if not result.exists():
            sys.exit(f"pytest did not finish: see {self.work / name}.log")
        return dict(outcomes(result))


def outcomes(result):
    for case in xml.etree.ElementTree.parse(result).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        path, _, kind = case.get("classname").partition(".")[2].partition(".")
        key = "::".join(part for part in (f"tests/{path}.py", kind, case.get("name")) if part)
        yield key, "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--all", action="store_true", help="every test that saves or loads")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    run = Run(arguments.work.resolve(), arguments.jobs)
    found = run("native", native=True, everything=arguments.all)
    failed = sorted(key for key, outcome in found.items() if outcome == "failed")
    passed = sum(outcome == "passed" for outcome in found.values())
    print(f"with Ferrule: {passed} passed, {len(failed)} failed, {len(found) - passed - len(failed)} skipped")
    ours = []
    if failed:
        again = run("stock", native=False, only=failed)
        ours = [key for key in failed if again.get(key) == "passed"]
        print(f"of the failed ones {len(failed) - len(ours)} fail without Ferrule, too")
    for key in ours:
        print(f"passes without Ferrule only: {key}")
    if passed < (5000 if arguments.all else 400):
        sys.exit(f"only {passed} tests passed: something kept the others from running; see {run.work}/native.log")
    sys.exit(1 if ours else 0)


if __name__ == "__main__":
    main()
