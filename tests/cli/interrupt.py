# SPDX-License-Identifier: Apache-2.0
"""A save that is told to stop leaves nothing behind, and `ferrule clean` removes what a killed one left.

    interrupt.py FERRULE

Another saver holds the lock of the target, so the command waits with its stage made until the signal comes.
Nothing is timed: each step waits for the one before.
"""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

FERRULE = str(pathlib.Path(sys.argv[1]).resolve())
CASE = pathlib.Path(__file__).resolve().parent.parent / "golden" / "cases" / "lora" / "expected"


def hidden(folder: pathlib.Path) -> list:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".ferrule-"))


def waits_for_a_lock(pid: int) -> bool:
    """Whether the process is asleep in flock()."""
    number = {"x86_64": "73", "aarch64": "32"}[os.uname().machine]
    return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == number


def interrupted_while_waiting(number: int) -> None:
    """The directory is locked by another saver; the signal ends the wait, and no stage is left."""
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        target = folder / "out"
        target.mkdir()
        lock = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([FERRULE, "convert", str(CASE), "-o", str(target)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not waits_for_a_lock(process.pid):
            assert process.poll() is None, process.communicate()
            os.sched_yield()
        assert hidden(folder), "the stage is made before the wait"
        process.send_signal(number)
        out, err = process.communicate()
        os.close(lock)
        assert process.returncode == -number, (process.returncode, out, err)
        assert not hidden(folder) and not list(target.iterdir()), list(folder.rglob("*"))


def killed_and_cleaned() -> None:
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        shutil.copytree(CASE, folder / "adapter")
        stale = folder / ".ferrule-0123456789abcdef" / "new"
        stale.mkdir(parents=True)
        (stale / "adapter_config.json").write_text("{")
        running = folder / ".ferrule-fedcba9876543210"
        running.mkdir()
        lock = os.open(running, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for verb in ("verify", "inspect"):
            done = subprocess.run([FERRULE, verb, str(folder), "--json"], capture_output=True, text=True)
            assert done.returncode == 0, (verb, done.stdout, done.stderr)
        done = subprocess.run([FERRULE, "clean", str(folder), "--json"], capture_output=True, text=True)
        answer = json.loads(done.stdout)
        assert done.returncode == 0 and answer["removed"] == [str(stale.parent)], (answer, done.stderr)
        assert answer["in_use"] == [str(running)], answer
        assert hidden(folder) == [running.name]
        os.close(lock)
        done = subprocess.run([FERRULE, "clean", str(folder)], capture_output=True, text=True)
        assert done.returncode == 0 and "removed" in done.stdout, done
        assert hidden(folder) == []
        done = subprocess.run([FERRULE, "clean", str(folder)], capture_output=True, text=True)
        assert done.returncode == 0 and "nothing to clean" in done.stdout, done


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        interrupted_while_waiting(number)
    killed_and_cleaned()
    print("as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
