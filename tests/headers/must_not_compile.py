#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles a file in which some lines must be errors, and compares.

    must_not_compile.py FILE INCLUDE_DIR COMPILER [OPTION...]

Lines that end in "// BAD" must be errors, all others must not.
"""

import pathlib
import re
import subprocess
import sys


def main() -> int:
    source, include, *compiler = sys.argv[1:]
    lines = pathlib.Path(source).read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("// BAD")}
    command = [*compiler, "-std=c++20", "-fsyntax-only", "-Werror=unused-result", f"-I{include}", source]
    if "clang" in subprocess.run([compiler[0], "--version"], capture_output=True, text=True).stdout:
        command.insert(1, "-ferror-limit=0")
    done = subprocess.run(command, capture_output=True, text=True)
    found = set()
    strangers = []
    for path, number in re.findall(r"^(.*?):(\d+)(?::\d+)?: (?:fatal )?error:", done.stderr, re.MULTILINE):
        if pathlib.Path(path).name == pathlib.Path(source).name:
            found.add(int(number))
        else:
            strangers.append(f"{path}:{number}")
    for number in sorted(expected - found):
        print(f"{source}:{number}: compiles, and must not: {lines[number - 1].strip()}")
    for number in sorted(found - expected):
        print(f"{source}:{number}: does not compile, and must: {lines[number - 1].strip()}")
    for place in strangers:
        print(f"{place}: does not compile")
    if not expected or found != expected or strangers:
        print(done.stderr[-4000:])
        return 1
    print(f"{len(expected)} lines refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
