#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that rules, code and tests know the same numbers.

    check_rules.py [ROOT]

Every rule of docs/rules/*.md is quoted in src or torch (in a string or a comment) and in tests (or in
the name of a file in tests/malformed), unless its line says "(not testable"; every rule that src
reports is in docs/rules.
"""

import pathlib
import re
import sys

DEFINED = re.compile(r"^(?:\*\*|\|\s*\**|#+ )([A-Z]{2}-\d+)\b")
QUOTED = re.compile(r"\b([A-Z]{2})-0*(\d+)(?: to (?:[A-Z]{2}-)?0*(\d+))?")
REPORTED = re.compile(r'"([A-Z]{2}-\d+)"')


def documented(root: pathlib.Path):
    rules, untestable = {}, set()
    for path in sorted((root / "docs" / "rules").glob("*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            found = DEFINED.match(line)
            if not found or not found.group(1).startswith(path.stem + "-"):
                continue
            rules[found.group(1)] = path.name
            if "(not testable" in line:
                untestable.add(found.group(1))
    return rules, untestable


def texts(folder: pathlib.Path):
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".cpp", ".hpp", ".py", ".inc", ".sh", ".stderr", ".stdout") and path.is_file():
            yield path.read_text(encoding="utf-8", errors="replace")
        yield path.name


def quoted(folder: pathlib.Path):
    rules = set()
    for text in texts(folder):
        for family, first, last in QUOTED.findall(text):
            for number in range(int(first), int(last or first) + 1):
                rules.add(f"{family}-{number}")
    return rules


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    rules, untestable = documented(root)
    in_src, in_tests = quoted(root / "src") | quoted(root / "torch"), quoted(root / "tests")
    reported = set()
    for folder in ("src", "torch"):
        for text in texts(root / folder):
            reported |= set(REPORTED.findall(text))
    families = {rule.split("-")[0] for rule in rules}
    complaints = []
    for rule, document in rules.items():
        if rule not in in_src:
            complaints.append(f"{document}: {rule} is nowhere in src")
        if rule not in in_tests and rule not in untestable:
            complaints.append(f"{document}: {rule} is nowhere in tests")
    for rule in sorted(reported - set(rules)):
        complaints.append(f"src reports {rule}, which docs/rules does not have")
    if not rules or not families:
        complaints.append("docs/rules defines no rule at all")
    print("\n".join(complaints) or f"{len(rules)} rules of {len(families)} families")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
