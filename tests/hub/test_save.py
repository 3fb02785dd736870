# SPDX-License-Identifier: Apache-2.0
"""ferrule save --push."""
import sys

from adapters import content
from conftest import FERRULE


def live_state(stage, folder):
    """A state dict as training leaves it, for save."""
    stage.ferrule("state-dict", folder, "-o", stage.folder / "live.safetensors")
    return stage.folder / "live.safetensors"


def test_save_pushes_what_it_saved(stage):
    folder = stage.adapter()
    answer = stage.ferrule("save", live_state(stage, folder), "-o", stage.folder / "saved", "--config", folder, "--push", "ann/a", "--json")
    assert stage.stored("ann/a") == content(stage.folder / "saved") != {}
    assert stage.hub.repo("ann/a").head().oid in answer.out


# What a program reads through the system (not through a mapping), by the kernel's own count.
COUNT_READS = """
import subprocess, sys
def read():
    return int(next(line for line in open("/proc/self/io") if line.startswith("rchar:")).split()[1])
before = read()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print(code, read() - before)
"""


def bytes_read(stage, *arguments, **env):
    code, count = stage.run(sys.executable, "-S", "-c", COUNT_READS, FERRULE, *arguments, env=stage.env(**env), check=True).out.split()
    assert code == "0"
    return int(count)


def test_what_was_just_saved_is_not_read_to_be_hashed(stage):
    folder = stage.adapter(layers=8, hidden=8192, rank=16)
    live = live_state(stage, folder)
    size = live.stat().st_size
    saved = stage.folder / "saved"
    started = bytes_read(stage, "--version")
    # Once, to be sent; a hash would be a second time.
    read = bytes_read(stage, "save", live, "-o", saved, "--config", folder, "--push", "ann/a") - started
    assert 0.9 * size < read < 1.5 * size
    # The Hub has it all: nothing is read at all.
    again = stage.folder / "again"
    assert bytes_read(stage, "save", live, "-o", again, "--config", folder, "--push", "ann/a") - started < 0.5 * size
    assert len(stage.hub.repo("ann/a").commits) == 2
    # The count sees a hash: who has never met the file reads it once more than it sends it.
    stranger = bytes_read(stage, "push", saved, "ann/b", HF_HOME=stage.folder / "elsewhere") - started
    assert stranger > 1.8 * size
    # And a later push knows it too.
    assert bytes_read(stage, "push", saved, "ann/a") - started < 0.5 * size


def test_save_keeps_the_adapter_when_the_network_fails(stage):
    folder = stage.adapter()
    stage.ferrule("save", live_state(stage, folder), "-o", stage.folder / "saved", "--config", folder, "--push", "ann/a", code=3, HF_ENDPOINT="http://127.0.0.1:9")
    stage.ferrule("verify", stage.folder / "saved")
