#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has pyright (strict) and mypy (strict) read every Python snippet of the documentation, and the package's stubs.

    check_types.py WORK    WORK is a folder for the snippets and for a virtual environment with the pinned checkers

Run it with the interpreter that has torch and PEFT, and PYTHONPATH naming a built package. Installs the checkers from
a package registry the first time: part of ./test --all.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKERS = ["pyright==1.1.414", "mypy==2.4.1"]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# What a strict checker says of other libraries: they have no complete types, which is nothing of ours.
OTHERS = ["reportUnknownMemberType", "reportUnknownVariableType", "reportUnknownArgumentType", "reportMissingTypeStubs",
          "reportUnknownParameterType", "reportMissingModuleSource", "reportUnusedVariable", "reportUnusedExpression",
          # A name of GIVEN that is in a text, too.
          "reportUnusedImport",
          # Of the stubs below for packages that are not installed.
          "reportIncompleteStub"]


# What snippets that go on from an earlier one use of it.
GIVEN = {
    "model": "import peft\nmodel: peft.PeftModel",
    "training_args": "from transformers import TrainingArguments\ntraining_args: TrainingArguments",
    "dataset": "import torch.utils.data\nfrom typing import Any\ndataset: torch.utils.data.Dataset[Any]",
    "make_base": "import transformers\ndef make_base() -> transformers.PreTrainedModel: ...",
}


# What the callback of Lightning and its snippet use of a package that the interpreter does not have (nor Ray).
LIGHTNING = """from typing import Any
class Trainer:
    def __init__(self, **options: Any) -> None: ...
    def fit(self, model: Any, data: Any = ...) -> None: ...
class Callback: ...
"""


def with_names(code):
    """The snippet as a program of its own."""
    defined = set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE))
    defined |= set(re.findall(r"^(\w+) = ", code, re.MULTILINE)) - {"model"}
    used = set(re.findall(r"\b\w+\b", code))
    lines = [f"from documented import {name}" for name in GIVEN if name in used - defined]
    if "ferrule" in used - defined:
        lines.append("import ferrule.peft")
    if "peft" in used - defined and re.search(r"(?<!\.)\bpeft\.", code):
        lines.append("import peft")
    return "".join(f"{line}\n" for line in lines) + code


def snippets():
    """(page and line, code) of each."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            yield f"{page.stem}_{text.count(chr(10), 0, found.start()) + 2}", found.group(1)


def checkers(work):
    home = work / "checkers"
    stamp = home / "stamp"
    if not stamp.exists() or stamp.read_text() != "\n".join(CHECKERS):
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *CHECKERS],
                       check=True)
        stamp.write_text("\n".join(CHECKERS))
    return home / "bin"


def main():
    work = pathlib.Path(sys.argv[1]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    programs = checkers(work)
    code = work / "snippets"
    code.mkdir(exist_ok=True)
    for old in code.glob("*.py"):
        old.unlink()
    (code / "documented.pyi").write_text("\n".join(GIVEN.values()) + "\n", encoding="utf-8")
    lightning = code / "lightning/pytorch"
    lightning.mkdir(parents=True, exist_ok=True)
    (code / "lightning/__init__.pyi").write_text("")
    (code / "ray").mkdir(exist_ok=True)
    for name in ("__init__", "data"):
        (code / f"ray/{name}.pyi").write_text("from typing import Any\ndef __getattr__(name: str) -> Any: ...\n")
    (lightning / "__init__.pyi").write_text(LIGHTNING, encoding="utf-8")
    files = []
    for name, text in snippets():
        file = code / f"{name}.py"
        file.write_text(with_names(text), encoding="utf-8")
        files.append(file)
    package = os.path.abspath(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    # Not "strict": [...], which cannot be told to leave a rule out.
    settings = {"include": ["snippets"], "typeCheckingMode": "strict", "extraPaths": [package, str(code)],
                "pythonVersion": "%d.%d" % sys.version_info[:2], **dict.fromkeys(OTHERS, "none")}
    (work / "pyrightconfig.json").write_text(json.dumps(settings))
    ran = {
        "pyright": [programs / "pyright", "-p", work / "pyrightconfig.json", "--pythonpath", sys.executable],
        "mypy": [programs / "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--python-executable",
                 sys.executable, "--allow-untyped-calls", "--disable-error-code=import-untyped", "--cache-dir", work / "mypy",
                 "--scripts-are-modules", *files],
    }
    failed = False
    for name, command in ran.items():
        done = subprocess.run(list(map(str, command)), cwd=work, capture_output=True, text=True,
                              env={**os.environ, "MYPYPATH": f"{package}{os.pathsep}{code}", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"})
        if done.returncode != 0:
            failed = True
            print(f"{name}:\n{done.stdout}{done.stderr}")
    print(f"{len(files)} snippets")
    sys.exit(failed)


if __name__ == "__main__":
    main()
