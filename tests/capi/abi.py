# SPDX-License-Identifier: Apache-2.0
"""Guards the ABI of the C interface.

    abi.py CC LIBRARY NM           the library exports what capi/symbols.txt lists and c.h declares, and nothing else; every
                                   struct, constant and function is as capi/abi.txt says
    abi.py CC LIBRARY NM --write   writes capi/abi.txt, if nothing in it was removed or changed

What is in capi/abi.txt may not change while FERRULE_C_ABI is the same: programs are linked with it.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "capi" / "include" / "ferrule" / "c.h"
SYMBOLS = ROOT / "capi" / "symbols.txt"
RECORD = ROOT / "capi" / "abi.txt"


def declarations() -> str:
    """The header without comments and directives, on one line."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(encoding="utf-8"), flags=re.DOTALL)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", " ", text, flags=re.MULTILINE)
    return " ".join(text.replace("FERRULE_C_API", " ").split())


def functions(text: str) -> dict[str, str]:
    """Name -> prototype."""
    found = re.findall(r"((?:const )?\w+\*? )(ferrule_\w+)(\([^)]*\));", text)
    return {name: "".join((result, name, arguments)) for result, name, arguments in found}


def layout(cc: str, text: str) -> list[str]:
    """Size and alignment of every struct, place of every field, value of every constant, as the compiler has them."""
    lines = []
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\}", text):
        lines.append(f'printf("struct {name} size %zu align %zu\\n", sizeof({name}), _Alignof({name}));')
        for declaration in filter(None, (field.strip() for field in body.split(";"))):
            kind, field, array = re.fullmatch(r"(.+?[ *])(\w+)((?:\[\d+\])?)", declaration).groups()
            place = f"offsetof({name}, {field}), sizeof((({name}*)0)->{field})"
            lines.append(f'printf("  {name}.{field}: {kind.strip()}{array} at %zu size %zu\\n", {place});')
    for name, body in re.findall(r"typedef enum (\w+) \{(.*?)\}", text):
        lines.append(f'printf("enum {name} size %zu\\n", sizeof({name}));')
        lines += [f'printf("  {value} %d\\n", (int){value});' for value in re.findall(r"(\w+) =", body)]
    for name in re.findall(r"#define (FERRULE_\w+) [\dU]", HEADER.read_text(encoding="utf-8")):
        lines.append(f'printf("constant {name} %llu\\n", (unsigned long long){name});')
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "layout.c"), pathlib.Path(folder, "layout")
        source.write_text("#include <ferrule/c.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\n}\n")
        subprocess.run([cc, "-std=c11", "-I", HEADER.parents[1], source, "-o", program], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()


def exported(nm: str, library: str) -> set[str]:
    listing = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1].split("@")[0] for line in listing.splitlines() if line.strip()}
    return names - {"FERRULE_C_1"}  # The version that all symbols have.


def main() -> int:
    cc, library, nm = sys.argv[1:4]
    text = declarations()
    declared = functions(text)
    listed = SYMBOLS.read_text(encoding="utf-8").split()
    wrong = []
    if listed != sorted(set(listed)):
        wrong.append("capi/symbols.txt is not sorted, or has a name twice")
    for what, names in (("the library exports", exported(nm, library)), ("c.h declares", set(declared))):
        wrong += [f"{what} {name}, which capi/symbols.txt does not list" for name in sorted(names - set(listed))]
        wrong += [f"capi/symbols.txt lists {name}; expected that {what} it" for name in sorted(set(listed) - names)]

    now = layout(cc, text) + [f"function {prototype}" for _, prototype in sorted(declared.items())]
    before = RECORD.read_text(encoding="utf-8").splitlines() if RECORD.exists() else []
    gone = [line for line in before if line not in now]
    # A struct may grow at its end.
    grown = {line.split()[1]: int(line.split()[3]) for line in now if line.startswith("struct ")}
    gone = [line for line in gone
            if not (line.startswith("struct ") and grown.get(line.split()[1], 0) > int(line.split()[3]))]
    same_abi = any(line in before for line in now if line.startswith("constant FERRULE_C_ABI "))
    if gone and same_abi:
        wrong += [f"changed or removed, so programs that are linked break (FERRULE_C_ABI): {line}" for line in gone]
    if "--write" in sys.argv[4:] and not wrong:
        RECORD.write_text("\n".join(now) + "\n", encoding="utf-8")
    elif now != before and not wrong:
        wrong += [f"not in capi/abi.txt (write it with {' '.join(sys.argv)} --write): {line}" for line in now
                  if line not in before] or ["capi/abi.txt has another order (write it with --write)"]
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
