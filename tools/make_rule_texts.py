#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the rules of docs/rules as data for the command: number, title, text.

    make_rule_texts.py            writes cli/print/rule_texts_data.inc
    make_rule_texts.py --check    exits 1 if that file is not current

`--format sarif` gives each result its rule's title and text.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "cli" / "print" / "rule_texts_data.inc"
PARAGRAPH = re.compile(r"^\*\*([A-Z]{2}-\d+)\. (.*?)\*\*\s*(.*)$", re.S)
ROW = re.compile(r"^\|\s*\**([A-Z]{2}-\d+)\**\s*\|([^|]*(?:\\\|[^|]*)*)\|")


def plain(text: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = text.replace("**", "").replace("`", "").replace("\\|", "|")
    text = re.sub(r"\s*\(not testable[^)]*\)", "", text)
    return " ".join(text.split())


def title_of(text: str) -> str:
    """The first sentence."""
    found = re.match(r"(.*?[.:])(?:\s|$)", text)
    return (found.group(1) if found else text).rstrip(".:")


def rules():
    for path in sorted((ROOT / "docs" / "rules").glob("*.md")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            if found := PARAGRAPH.match(block.strip()):
                rule, title, rest = found.groups()
                title = plain(title)
                yield rule, title_of(title), plain(title.rstrip(".") + ". " + rest)
            for line in block.splitlines():
                if found := ROW.match(line):
                    text = plain(found.group(2))
                    yield found.group(1), title_of(text), text


def literal(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if ord(c) < 128 else "".join(f"\\{byte:03o}" for byte in c.encode()) for c in text) + '"'


def main() -> int:
    # Some pages list a rule again, in a table of differences: the first text is the rule.
    first = {}
    for rule, title, body in rules():
        first.setdefault(rule, (rule, title, body))
    order = sorted(first.values(), key=lambda row: (row[0].split("-")[0], int(row[0].split("-")[1])))
    text = "// SPDX-License-Identifier: Apache-2.0\n// Made by tools/make_rule_texts.py from docs/rules.\n"
    text += "".join(f"{{{literal(rule)}, {literal(title)},\n {literal(body)}}},\n" for rule, title, body in order)
    if "--check" in sys.argv[1:]:
        if TARGET.read_text(encoding="utf-8") != text:
            print("docs/rules has changed: run tools/make_rule_texts.py")
            return 1
        return 0
    TARGET.write_text(text, encoding="utf-8")
    print(len(order), "rules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
