# SPDX-License-Identifier: Apache-2.0
"""Runs one command line script and compares what it says, to the byte.

    run.py FERRULE SCRIPT

SCRIPT is tests/cli/NAME.sh; beside it stand NAME.stdout, NAME.stderr and NAME.exit (none means
empty, empty and 0). It runs under bash in a fresh directory with $FERRULE, and $DATA naming the
tests' folder. The fresh directory is called DIR in the expectations.

    UPDATE=1 run.py ...   writes the expectations instead: read the difference before committing.
"""

import difflib
import os
import pathlib
import subprocess
import sys
import tempfile


def expected(path: pathlib.Path, default: str) -> str:
    return path.read_text() if path.exists() else default


def store(path: pathlib.Path, text: str, default: str) -> None:
    if text != default:
        path.write_text(text)
    else:
        path.unlink(missing_ok=True)


def main() -> int:
    ferrule, script = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    data = script.parent.parent
    with tempfile.TemporaryDirectory(prefix="ferrule-cli-") as work:
        environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": work,
            "FERRULE": str(ferrule), "DATA": str(data),
        }
        for name, value in os.environ.items():
            if name.endswith("SAN_OPTIONS"):
                environment[name] = value
        done = subprocess.run(["bash", "-u", str(script)], cwd=work, env=environment, timeout=240,
                              stdin=subprocess.DEVNULL, capture_output=True)
        found = {
            "stdout": done.stdout.decode("utf-8", "backslashreplace"),
            "stderr": done.stderr.decode("utf-8", "backslashreplace"),
            "exit": f"{done.returncode}\n",
        }
        for name in ("stdout", "stderr"):
            found[name] = found[name].replace(work, "DIR").replace(str(data), "DATA")
    failed = False
    for name, text in found.items():
        path = script.with_suffix("." + name)
        default = "0\n" if name == "exit" else ""
        if os.environ.get("UPDATE"):
            store(path, text, default)
            continue
        want = expected(path, default)
        if text != want:
            failed = True
            sys.stdout.writelines(difflib.unified_diff(
                want.splitlines(True), text.splitlines(True), f"{path.name} (expected)", "found"))
            print()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
