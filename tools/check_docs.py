#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the pages that people read.

    check_docs.py [ROOT]

Every relative link leads to a file. Every source file that is named in backticks exists (below the root, src or include).
Every page of docs is listed in docs/README.md. Every test that docs/differences.md names exists. No page has a word that
docs/style.md rules out.
"""

import pathlib
import re
import sys

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
SOURCE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:cpp|hpp|inc|py|sh|md))`")
TEST = re.compile(r"`(?:([A-Z]\w+)\.([A-Z]\w+)(?:/[^`]*)?|(test_\w+))`")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
WORDS = re.compile(
    r"\b(whoever|anew|nobody|mend(?:s|ed|ing)?|stands|has not (?:a|an|the)\b|(?<!there )(?:is|are) no(?! longer| more| less)|but in"
    r"|save where|no one|recognis\w+|initialis\w+|normalis\w+|serialis\w+|optimis\w+|quantis\w+|colour\w*|behaviour\w*|cancelled"
    r"|catalogue|summaris\w+|unrecognis\w+|licence)\b",
    re.IGNORECASE,
)


def pages(root: pathlib.Path):
    own = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
    folders = [root / name for name in ("docs", ".github", "examples", "benchmarks")]
    return [path for path in own + [p for folder in folders for p in sorted(folder.rglob("*.md"))] if path.exists()]


def blank(found: re.Match) -> str:
    return re.sub(r"[^\n]", " ", found.group())


def tests(root: pathlib.Path) -> set[str]:
    names = set()
    for path in [*(root / "tests").rglob("*.cpp"), *(root / "python" / "tests").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        names.update(".".join(found) for found in re.findall(r"\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", text))
        names.update(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))
    return names


def complaints(root: pathlib.Path):
    listed = (root / "docs" / "README.md").read_text(encoding="utf-8")
    for page in pages(root):
        name, text = page.relative_to(root), page.read_text(encoding="utf-8")
        if page.is_relative_to(root / "docs") and page.name != "README.md":
            if f"({page.relative_to(root / 'docs').as_posix()})" not in listed:
                yield f"{name}: docs/README.md does not list it"
        for number, line in enumerate(text.splitlines(), 1):
            for target in LINK.findall(line):
                if "://" not in target and not (page.parent / target).exists():
                    yield f"{name}:{number}: there is no {target}"
            for target in SOURCE.findall(line):
                if not any((folder / target).exists() for folder in (root, root / "src", root / "include", page.parent)):
                    yield f"{name}:{number}: there is no {target}"
        if name.as_posix() == "docs/differences.md":
            known = tests(root)
            for suite, test, function in TEST.findall(text):
                if (function or f"{suite}.{test}") not in known:
                    yield f"{name}: there is no test {function or f'{suite}.{test}'}"
        if name.as_posix() == "docs/style.md":
            continue
        for number, line in enumerate(CODE.sub(blank, text).splitlines(), 1):
            for word in WORDS.findall(line):
                yield f'{name}:{number}: "{word}" (docs/style.md)'


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    found = list(complaints(root))
    print("\n".join(found) or f"{len(pages(root))} pages")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
