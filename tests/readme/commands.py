#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of README.md on the shipped checkpoint.

    commands.py FERRULE ROOT WORK

Those of the first block run as they are written, except what needs a network. Of those in the table, which have
names in capitals, the command and its options must exist.
"""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys


def main() -> int:
    ferrule, root, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(root / "examples" / "quickstart", work)
    (work / "checkpoint-20").rename(work / "checkpoint-500")
    shutil.copytree(work / "checkpoint-500", work / "base-model")
    text = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```\n(ferrule .*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)
    ran = 0
    for line in block.splitlines():
        command = shlex.split(line, comments=True)
        if command[1] == "push":
            continue
        subprocess.run([ferrule, *command[1:]], cwd=work, check=True)
        ran += 1
    named = 0
    for line in re.findall(r"^\|.*\|$", text, re.MULTILINE):
        for command in re.findall(r"`ferrule ([^`]*)`", line):
            words = command.split()
            verbs = words[: 2 if words[0] == "config" else 1]
            usage = subprocess.run([ferrule, *verbs, "--help"], check=True, capture_output=True, text=True).stdout
            for option in (word for word in words if word.startswith("-")):
                assert re.search(rf"(^|[ ,]){re.escape(option)}\b", usage, re.MULTILINE), f"{command}: no {option}"
            named += 1
    assert ran >= 3 and named >= 10, (ran, named)
    print(f"{ran} commands ran, {named} are known")
    return 0


if __name__ == "__main__":
    sys.exit(main())
