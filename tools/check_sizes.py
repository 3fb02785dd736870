#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that files stay under 400 lines and functions under 60, blank lines and comments included.

    check_sizes.py [ROOT]

Functions are found by their braces, which clang-format puts where this expects them. Tests and data (.inc) are exempt.
"""

import pathlib
import re
import sys

MAX_FILE = 400
MAX_FUNCTION = 60

# What may be larger, and why.
EXCEPTIONS = {
    "capi/include/ferrule/c.h": "a C program includes one header",
    "src/format/pickle/pickle.cpp:step": "a switch with one case an opcode",
    "python/src/bind_adapter.cpp:bind_adapter": "a list of bindings",
    "python/src/bind_config.cpp:bind_config": "a list of bindings",
    "python/src/bind_hub.cpp:bind_transfer_reports": "a list of bindings",
    "python/src/bind_safetensors.cpp:bind_safetensors": "a list of bindings",
}

FOLDERS = ("benchmarks", "capi", "cli", "fuzz", "include", "python/src", "src", "torch")

# Comments, and literals with braces or quotes in them.
NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
    re.DOTALL)
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|extern)\b")
FUNCTION = re.compile(r"(~?\w+|operator\s*\S+)\s*\($")
NOT_FUNCTIONS = {"if", "for", "while", "switch", "catch", "alignas", "decltype", "noexcept", "requires", "static_assert"}


def blank(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def function_name(head: str):
    """The name if `head`, the text in front of a brace, is that of a function definition."""
    depth = 0
    for at, character in enumerate(head):
        if character == "(":
            if depth == 0:
                found = FUNCTION.search(head[:at + 1])
                if found:
                    return None if found[1] in NOT_FUNCTIONS else found[1]
            depth += 1
        elif character == ")":
            depth -= 1
    return None


def functions(text: str):
    """(name, first line, lines) of every function that is not inside another one."""
    code = NOISE.sub(blank, text)
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.MULTILINE)
    scopes = []  # True for a namespace or class.
    start = 0    # Where the text in front of the next brace begins.
    open_at = None
    for at, character in enumerate(code):
        if open_at is not None:
            if character == "{":
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0:
                    first = code.count("\n", 0, open_at) + 1
                    yield name, first, code.count("\n", open_at, at) + 1
                    open_at, start = None, at + 1
            continue
        if character == "{":
            head = code[start:at]
            name = None if SCOPE.search(head.split("(")[0]) and not head.rstrip().endswith(")") else function_name(head)
            if name is not None and (not scopes or scopes[-1]):
                open_at, depth = start + len(head) - len(head.lstrip()), 1
            else:
                scopes.append(bool(SCOPE.search(head)))
                start = at + 1
        elif character == "}":
            if scopes:
                scopes.pop()
            start = at + 1
        elif character == ";":
            start = at + 1


def complaints(root: pathlib.Path):
    unused = set(EXCEPTIONS)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".cpp", ".h", ".hpp"):
                continue
            place = str(path.relative_to(root))
            text = path.read_text(encoding="utf-8")
            found = [(place, place, text.count("\n"), MAX_FILE)]
            found += [(f"{place}:{name}", f"{place}:{line}: {name}", lines, MAX_FUNCTION)
                      for name, line, lines in functions(text)]
            for key, where, lines, limit in found:
                if lines > limit and key in EXCEPTIONS:
                    unused.discard(key)
                elif lines > limit:
                    yield f"{where} has {lines} lines; the limit is {limit}"
    for key in sorted(unused):
        yield f"{key} needs no exception any more"


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(complaints(root.resolve()))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
