# SPDX-License-Identifier: Apache-2.0
"""Several files, and several parts of one file, at once; and uploads in parts that go on where another push was killed."""
import stat
import threading
import time

import pytest
from adapters import content, make_adapter
from conftest import same_content
from emulator import faults
from test_killed import start
from test_pull import host, pull

MOST = 4


def in_parts(stage, size=100_000):
    """An adapter whose weights go up in several parts."""
    stage.hub.multipart_threshold, stage.hub.part_size = size, size
    folder = stage.adapter(hidden=4096)
    return folder, -(-(folder / "adapter_model.safetensors").stat().st_size // size)


def many_files(stage):
    folder = stage.adapter()
    for number in range(6):
        make_adapter(folder / f"other{number}", seed=10 + number, card=False)
    return folder


def parts_sent(stage):
    return sorted(int(r.query["partNumber"]) for r in stage.hub.requests("PUT", "/multipart/"))


# --- at once


def test_parts_of_one_file_go_together(stage):
    folder, count = in_parts(stage)
    assert count > MOST
    rule = stage.hub.faults.add("PUT", "/multipart/", faults.meet(MOST), times=MOST)
    stage.ferrule("push", folder, "ann/a")
    assert rule["met"] == MOST and parts_sent(stage) == list(range(1, count + 1))
    assert stage.hub.storage.most_in_flight == MOST
    assert stage.stored("ann/a") == content(folder)


def test_several_files_go_together(stage):
    folder = many_files(stage)
    rule = stage.hub.faults.add("PUT", "/lfs/", faults.meet(MOST), times=MOST)
    stage.ferrule("push", folder, "ann/a")
    assert rule["met"] == MOST and stage.hub.storage.most_in_flight == MOST
    assert stage.stored("ann/a") == content(folder) and len(stage.hub.repo("ann/a").commits) == 2


def test_several_files_with_parts_share_the_connections(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 10_000, 10_000
    folder = many_files(stage)
    stage.ferrule("push", folder, "ann/a")
    assert 1 < stage.hub.storage.most_in_flight <= MOST
    assert stage.stored("ann/a") == content(folder)


@pytest.mark.parametrize("into", [[], ["-o", "out"]], ids=["cache", "folder"])
def test_several_files_come_together(stage, into):
    files = host(stage, files=content(many_files(stage)))
    rule = stage.hub.faults.add("GET", "/cdn/", faults.meet(MOST), times=MOST)
    same_content(stage.folder / pull(stage, "ann/a", *into)["path"], files)
    assert rule["met"] == MOST and stage.hub.storage.most_in_flight == MOST


@pytest.mark.parametrize("trouble", [lambda: faults.status(503), faults.reset, faults.reset_early, faults.lost_reply],
                         ids=["503", "reset", "reset-early", "lost-reply"])
def test_a_part_in_trouble_is_repeated_alone(stage, trouble):
    folder, count = in_parts(stage)
    rule = stage.hub.faults.add("PUT", "partNumber=3&", trouble())
    stage.ferrule("push", folder, "ann/a")
    assert rule["met"] == 1 and parts_sent(stage) == sorted([*range(1, count + 1), 3])
    assert stage.stored("ann/a") == content(folder)


def test_a_file_in_trouble_comes_again_alone(stage):
    files = host(stage, files=content(many_files(stage)))
    stage.hub.faults.add("GET", "/cdn/", faults.status(503), skip=2)
    same_content(pull(stage, "ann/a")["path"], files)
    large = sum(path.endswith(".safetensors") for path in files)
    assert len(stage.hub.requests("GET", "/cdn/")) == large + 1


def test_the_first_failure_ends_the_others(stage):
    """What fails for good is told at once, although the other transfers would take a minute."""
    folder = many_files(stage)
    stage.hub.faults.add("PUT", "/lfs/", faults.status(404), skip=2)
    stage.hub.faults.add("PUT", "/lfs/", faults.stall(None, 60), times=None)
    begin = time.monotonic()
    error = stage.ferrule("push", folder, "ann/a", "--json", code=3, HF_HUB_DOWNLOAD_TIMEOUT="60").json["error"]
    assert error["status"] == 404 and time.monotonic() - begin < 20
    assert not stage.hub.requests("POST", "/commit/")


def test_the_first_failure_ends_the_other_downloads(stage):
    host(stage, files=content(many_files(stage)))
    stage.hub.faults.add("GET", "/cdn/", faults.status(404), skip=2)
    stage.hub.faults.add("GET", "/cdn/", faults.stall(1000, 60), times=None)
    begin = time.monotonic()
    error = stage.ferrule("pull", "ann/a", "--json", code=3, HF_HUB_DOWNLOAD_TIMEOUT="60").json["error"]
    assert error["status"] == 404 and time.monotonic() - begin < 20


# --- going on


def killed_with_one_part_missing(stage, folder, count, part=3):
    """A push that is killed when the store has every part but that one."""
    reached = threading.Event()

    def hold(exchange):
        reached.set()
        exchange.wait(60)

    stage.hub.faults.add("PUT", f"partNumber={part}&", hold)
    running = start(stage, "push", folder, "ann/a")
    assert reached.wait(20)
    journal = stage.home / "ferrule" / "uploads"
    end = time.monotonic() + 20
    while sum(len(f.read_text().splitlines()) for f in journal.glob("*")) < count:  # the head, and a line for each part but one
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    running.kill()
    running.wait()
    stage.hub.clear_log()
    return journal


def test_a_killed_upload_goes_on_with_the_missing_part(stage):
    folder, count = in_parts(stage)
    journal = killed_with_one_part_missing(stage, folder, count)
    [kept] = journal.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600  # an address in it is a permission
    assert stage.token not in kept.read_text()
    stage.ferrule("push", folder, "ann/a")
    assert parts_sent(stage) == [3]
    assert stage.stored("ann/a") == content(folder) and len(stage.hub.repo("ann/a").commits) == 2
    assert not list(journal.iterdir())


def test_a_failed_upload_goes_on_too(stage):
    folder, count = in_parts(stage)
    stage.hub.faults.add("PUT", "partNumber=3&", faults.status(500), times=None)
    stage.ferrule("push", folder, "ann/a", code=3)
    sent = {r.query["partNumber"] for r in stage.hub.requests("PUT", "/multipart/") if r.status == 200}
    stage.hub.faults.clear()
    stage.hub.clear_log()
    stage.ferrule("push", folder, "ann/a")
    assert sent and not sent & {str(part) for part in parts_sent(stage)}
    assert stage.stored("ann/a") == content(folder)


def test_addresses_that_expired_since_are_replaced(stage):
    folder, count = in_parts(stage)
    journal = killed_with_one_part_missing(stage, folder, count)
    stage.hub.store.expire_all()
    stage.ferrule("push", folder, "ann/a")
    assert stage.stored("ann/a") == content(folder) and not list(journal.iterdir())


@pytest.mark.parametrize("upload", ["gone", "other part"])
def test_a_store_that_lost_the_upload_gets_it_anew(stage, upload):
    folder, count = in_parts(stage)
    killed_with_one_part_missing(stage, folder, count)
    if upload == "gone":
        stage.hub.store.uploads.clear()
        stage.hub.store.uploads["u0"] = {}  # so that the next has another name
    else:
        next(iter(stage.hub.store.uploads.values()))[1] = b"not what was sent"
    stage.ferrule("push", folder, "ann/a")
    assert stage.stored("ann/a") == content(folder)


@pytest.mark.parametrize("damage", ["", "garbage\n", "{}\n1 x\n", '{"chunk":100000,"complete":"http://127.0.0.1:9/","addresses":{"1":"http://127.0.0.1:9/"}}\n',
                                    "\0" * 1000], ids=["empty", "garbage", "nothing", "few", "zeros"])
def test_a_damaged_memory_costs_time_alone(stage, damage):
    folder, count = in_parts(stage)
    journal = killed_with_one_part_missing(stage, folder, count)
    [kept] = journal.iterdir()
    kept.write_text(damage)
    stage.ferrule("push", folder, "ann/a")
    assert parts_sent(stage) == list(range(1, count + 1)) and stage.stored("ann/a") == content(folder)


def test_other_content_under_the_same_name_is_another_upload(stage):
    folder, count = in_parts(stage)
    killed_with_one_part_missing(stage, folder, count)
    stage.adapter(hidden=4096, seed=2)
    stage.ferrule("push", folder, "ann/a")
    assert parts_sent(stage) == list(range(1, count + 1)) and stage.stored("ann/a") == content(folder)


def test_another_repository_is_another_upload(stage):
    folder, count = in_parts(stage)
    killed_with_one_part_missing(stage, folder, count)
    stage.ferrule("push", folder, "ann/b")
    assert parts_sent(stage) == list(range(1, count + 1)) and stage.stored("ann/b") == content(folder)
