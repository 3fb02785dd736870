#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that tests mirror the sources: src/ROOM/.../NAME.cpp is tested by tests/ROOM/.../NAME_test.cpp.

    check_units.py [ROOT]          fails if a room in COMPLETE has a unit without a test file
    check_units.py --list [ROOT]   prints every unit of any room that has none

A unit is a .cpp, or a .hpp that contains code and has no .cpp beside it. A test file counts only if
a CMakeLists.txt above it builds it.
"""

import argparse
import pathlib
import re
import sys

# Rooms in which every unit has a test file of its own. Add a room here when its last test is written.
COMPLETE = ["base", "format", "io", "regex", "container", "peft", "update", "hub"]

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
# A function body, or a macro with parameters.
CODE = re.compile(
    r"\)\s*(?:const|noexcept|override|final|&&|&|\s)*(?:->\s*[\w:<>&*\s]+)?(?::[^;{}]*(?:\{[^{}]*\}[^;{}]*)*)?\{"
    r"|^\s*#\s*define\s+\w+\(",
    re.MULTILINE)


def has_code(header: pathlib.Path) -> bool:
    return bool(CODE.search(COMMENT.sub("", header.read_text(encoding="utf-8"))))


def units(root: pathlib.Path):
    """Every unit below src, as its path below src without the suffix."""
    source = root / "src"
    for path in sorted(source.rglob("*")):
        is_unit = path.suffix == ".cpp" or (
            path.suffix == ".hpp" and not path.with_suffix(".cpp").exists() and has_code(path))
        if is_unit:
            yield path.relative_to(source).with_suffix("")


def built_tests(root: pathlib.Path):
    """Every _test.cpp that the CMakeLists.txt of a folder above it names."""
    tests = root / "tests"
    for listing in tests.rglob("CMakeLists.txt"):
        for name in re.findall(r"[\w./-]+_test\.cpp", listing.read_text(encoding="utf-8")):
            path = listing.parent / name
            if path.exists():
                yield path.resolve().relative_to(tests.resolve())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--list", action="store_true", help="print the untested units of every room")
    arguments = parser.parse_args()

    built = set(built_tests(arguments.root))
    total = 0
    missing = []
    for unit in units(arguments.root):
        total += 1
        if unit.with_name(unit.name + "_test.cpp") not in built:
            missing.append(unit)
    if arguments.list:
        print("\n".join(map(str, missing)))
        print(f"{total - len(missing)} of {total} units have a test of their own", file=sys.stderr)
        return 0
    missing = [unit for unit in missing if unit.parts[0] in COMPLETE]
    for unit in missing:
        print(f"src/{unit}: expected a test at tests/{unit}_test.cpp, built by a CMakeLists.txt; there is none")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
