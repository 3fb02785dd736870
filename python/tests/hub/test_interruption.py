# SPDX-License-Identifier: Apache-2.0
"""Progress is reported to the calling thread, which can end the call."""

import os
import signal
import threading
import time

import ferrule
import pytest
from adapters import content, make_adapter
from emulator import faults

#: Seconds within which the interruption must be noticed.
SOON = 20


def interrupt_soon():
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()


@pytest.fixture
def began():
    return time.monotonic()


def test_progress_is_told(stage):
    told = []
    here = threading.get_ident()
    folder = make_adapter(stage.folder / "adapter")
    ferrule.push_to_hub(folder, stage.repo_id, progress=lambda now: told.append((now, threading.get_ident())))
    last, _ = told[-1]
    size = (folder / "adapter_model.safetensors").stat().st_size
    assert (last.bytes_done, last.bytes_total, last.files_done, last.files_total) == (size, size, 1, 1)
    assert {thread for _, thread in told} == {here}


def test_an_error_in_progress_ends_the_push(stage, began):
    folder = make_adapter(stage.folder / "adapter")
    stage.faults.add("PUT", "/lfs/", faults.stall())

    def tell(progress):
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        ferrule.push_to_hub(folder, stage.repo_id, progress=tell)
    assert time.monotonic() - began < SOON
    assert stage.commits() == []
    ferrule.push_to_hub(folder, stage.repo_id)
    assert stage.stored() == content(folder)


@pytest.mark.parametrize("fault", ["a server that is silent", "a server that asks for patience"])
def test_the_interrupt_key_ends_a_push(stage, began, fault):
    folder = make_adapter(stage.folder / "adapter")
    fault = faults.stall() if "silent" in fault else faults.status(429, headers={"Retry-After": "60"})
    stage.faults.add("POST", "/preupload/", fault)
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        ferrule.push_to_hub(folder, stage.repo_id)
    assert time.monotonic() - began < SOON
    assert stage.commits() == []


def test_the_interrupt_key_ends_a_pull_which_goes_on_later(stage, began):
    files = content(make_adapter(stage.folder / "adapter", hidden=4096))
    stage.world.put(stage.world.create(stage.repo_id), files)
    stage.faults.add("GET", "/cdn/", faults.stall(after=100_000))
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        ferrule.pull(stage.repo_id)
    assert time.monotonic() - began < SOON
    report = ferrule.pull(stage.repo_id)
    assert content(report.path)["adapter_model.safetensors"] == files["adapter_model.safetensors"]
    assert [request.headers.get("Range") for request in stage.hub.requests("GET", "/cdn/")] == [None, "bytes=100000-"]


def test_the_interrupt_key_ends_opening_an_address(stage, began):
    stage.world.create(stage.repo_id)
    stage.faults.add("GET", "/api/models/", faults.stall())
    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        ferrule.open(f"hf://{stage.repo_id}")
    assert time.monotonic() - began < SOON
