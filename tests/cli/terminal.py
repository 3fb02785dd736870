# SPDX-License-Identifier: Apache-2.0
"""What the command prints on a terminal: its width is kept, and progress appears only there.

    terminal.py FERRULE
"""

import fcntl
import os
import pathlib
import pty
import struct
import subprocess
import sys
import tempfile
import termios

FERRULE = str(pathlib.Path(sys.argv[1]).resolve())
CASES = pathlib.Path(__file__).resolve().parent.parent / "golden" / "cases"


def on_terminal(columns: int, *arguments: str) -> str:
    """Standard output of the command on a terminal of that width, without colors."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([FERRULE, *arguments], stdin=subprocess.DEVNULL, stdout=follower,
                               stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "NO_COLOR": "1", "TERM": "xterm"})
    os.close(follower)
    text = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    process.wait()
    os.close(leader)
    return text.decode().replace("\r\n", "\n")


def main() -> int:
    for columns in (40, 60, 80, 200):
        for words in (["--help"], ["save", "--help"], ["check", "--help"], ["scan", "--help"]):
            for line in on_terminal(columns, *words).splitlines():
                example = (line.startswith("  ") and "ferrule " in line) or " " not in line.strip()
                assert len(line) <= max(columns, 40) or example, (columns, words, line)
    rows = on_terminal(60, "explain", str(CASES / "lora" / "expected")).splitlines()
    names = [row.split()[0] for row in rows[1:] if row and not row.startswith("6 modules")]
    assert len(set(names)) == len(names), rows
    assert all("..." not in name for name in names), rows
    assert all(len(row) <= 60 for row in rows), rows
    wide = on_terminal(200, "explain", str(CASES / "lora" / "expected"))
    assert "model.layers.0." in wide, wide
    print("as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
