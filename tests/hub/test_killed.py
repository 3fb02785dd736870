# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment, and once more: only what is missing moves, and at most one commit is made."""
import random
import subprocess
import threading
import time

import pytest
from adapters import content
from conftest import FERRULE, same_content
from emulator import faults
from test_pull import host, pull

STEPS = ["/repos/create", "validate-yaml", "/preupload/", "objects/batch", "/lfs/", "objects/verify", "/commit/"]


def start(stage, *arguments, env=None):
    return subprocess.Popen([FERRULE, *map(str, arguments)], env=env or stage.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=stage.folder)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_push_killed_at_a_step_is_repeated(stage, step, done):
    folder = stage.adapter()
    reached = threading.Event()

    def hold(exchange):
        if done:
            exchange.answer()
        reached.set()
        exchange.wait(20)

    stage.hub.faults.add("*", step, hold)
    running = start(stage, "push", folder, "ann/a")
    assert reached.wait(20)
    running.kill()
    running.wait()
    stored = bool(stage.hub.world.storage)
    stage.hub.clear_log()
    stage.ferrule("push", folder, "ann/a")
    assert stage.stored("ann/a") == content(folder) and len(stage.hub.repo("ann/a").commits) == 2
    if stored:
        assert not stage.hub.requests("PUT"), "sent what was there"


def kill_when(stage, process, condition):
    end = time.monotonic() + 30
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    process.kill()
    process.wait()


@pytest.mark.parametrize("into", [[], ["-o", "out"]], ids=["cache", "folder"])
def test_a_pull_killed_in_a_body_goes_on(stage, into):
    files = host(stage, files=content(stage.adapter(layers=8, hidden=4096)))
    size = len(files["adapter_model.safetensors"])
    stage.hub.faults.add("GET", "/cdn/", faults.slow(100_000, 0.02), times=2)
    for part in (0.4, 0.3):
        stage.hub.clear_log()
        running = start(stage, "pull", "ann/a", *into)
        kill_when(stage, running, lambda: sum(r.sent for r in stage.hub.requests("GET", "/cdn/")) > size * part)
    if into:
        assert not (stage.folder / "out").exists() or content(stage.folder / "out") == {}
    stage.hub.clear_log()
    answer = pull(stage, "ann/a", *into)
    same_content(stage.folder / answer["path"], files)
    assert sum(r.sent for r in stage.hub.requests("GET", "/cdn/")) < size * 0.6


def test_a_partial_file_that_was_damaged_meanwhile(stage):
    files = host(stage, files=content(stage.adapter(layers=8, hidden=4096)))
    size = len(files["adapter_model.safetensors"])
    stage.hub.faults.add("GET", "/cdn/", faults.slow(100_000, 0.02))
    running = start(stage, "pull", "ann/a")
    kill_when(stage, running, lambda: sum(r.sent for r in stage.hub.requests("GET", "/cdn/")) > size / 2)
    partial = [p for p in stage.home.rglob("*") if p.is_file() and 100_000 < p.stat().st_size < size]
    assert len(partial) == 1, partial
    data = bytearray(partial[0].read_bytes())
    data[1000] ^= 1
    partial[0].write_bytes(data)
    same_content(pull(stage, "ann/a")["path"], files)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_push_killed_at_a_random_moment(stage, seed):
    chance = random.Random(seed)
    folder = stage.adapter(layers=4, hidden=1024)
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 30_000
    for _ in range(3):
        running = start(stage, "push", folder, "ann/a")
        time.sleep(chance.uniform(0, 0.12))
        running.kill()
        running.wait()
    time.sleep(0.2)  # what was on its way arrives
    stage.ferrule("push", folder, "ann/a")
    assert stage.stored("ann/a") == content(folder) and len(stage.hub.repo("ann/a").commits) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_pull_killed_at_a_random_moment(stage, seed):
    chance = random.Random(seed)
    files = host(stage, files=content(stage.adapter(layers=4, hidden=2048)))
    stage.hub.faults.add("GET", "/cdn/", faults.slow(200_000, 0.005), times=None)
    into = ["-o", "out"] if seed % 2 else []
    for _ in range(4):
        running = start(stage, "pull", "ann/a", *into)
        time.sleep(chance.uniform(0, 0.15))
        running.kill()
        running.wait()
        if into and (stage.folder / "out").exists():
            same_content(stage.folder / "out", files)
    stage.hub.faults.clear()
    same_content(stage.folder / pull(stage, "ann/a", *into)["path"], files)
    if not into:
        same_content(stage.snapshot("ann/a", HF_HUB_OFFLINE="1"), files)
