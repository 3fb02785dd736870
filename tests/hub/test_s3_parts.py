# SPDX-License-Identifier: Apache-2.0
"""Large objects in s3://: in parts, several at once, going on where a push was killed, and nothing left unfinished."""
import threading
import time

import pytest
from adapters import content
from emulator import faults
from test_killed import start
from s3 import ObjectStore
from test_s3 import push

MIB = 1 << 20
LARGE = {"layers": 12, "hidden": 8192, "rank": 16}


@pytest.fixture(scope="module")
def shared_store():
    store = ObjectStore(strict=True)
    yield store
    store.stop()


@pytest.fixture
def folder(stage):
    """Weights of 22 MiB: three parts of 8."""
    return stage.adapter(**LARGE)


def parts_sent(store):
    return sorted(int(r.query["partNumber"]) for r in store.door.log if r.method == "PUT" and "partNumber" in r.query)


def unfinished(store):
    return [upload["Key"] for upload in store.unfinished()]


def check(store, folder):
    same = {path: data for path, data in store.objects("team/a").items() if path in content(folder)} == content(folder)
    assert same and unfinished(store) == []


def count_of(folder):
    return -(-(folder / "adapter_model.safetensors").stat().st_size // (8 * MIB))


def killed_with_one_part_missing(stage, store, folder, part=3):
    reached = threading.Event()

    def hold(exchange):
        reached.set()
        exchange.wait(60)

    store.faults.add("PUT", f"partNumber={part}&", hold)
    env = stage.env(**store.env())
    running = start(stage, "push", folder, "s3://adapters/team/a", env=env)
    assert reached.wait(20)
    end = time.monotonic() + 30
    while sum(r.status == 200 for r in store.door.log if "partNumber" in r.query) < count_of(folder) - 1:
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    running.kill()
    running.wait()
    assert unfinished(store) == ["team/a/adapter_model.safetensors"]
    store.faults.clear()
    store.door.log.clear()


def test_large_weights_go_in_parts_at_once(stage, store, folder):
    rule = store.faults.add("PUT", "partNumber=", faults.meet(3), times=3)
    push(stage, store, folder)
    assert rule["met"] == 3 and parts_sent(store) == list(range(1, count_of(folder) + 1))
    check(store, folder)


def test_a_killed_push_goes_on_with_the_missing_part(stage, store, folder):
    killed_with_one_part_missing(stage, store, folder)
    push(stage, store, folder, HF_HOME=stage.folder / "elsewhere")  # whoever goes on: the store knows what it has
    assert parts_sent(store) == [3]
    check(store, folder)


def test_parts_of_other_content_are_not_taken_up(stage, store, folder):
    killed_with_one_part_missing(stage, store, folder)
    stage.adapter(**LARGE, seed=2)
    push(stage, store, folder)
    assert parts_sent(store) == list(range(1, count_of(folder) + 1))
    check(store, folder)


def test_parts_of_what_is_small_now_are_removed(stage, store, folder):
    killed_with_one_part_missing(stage, store, folder)
    stage.adapter()
    push(stage, store, folder)
    check(store, folder)


def test_a_refusal_leaves_nothing_unfinished(stage, store, folder):
    store.faults.add("PUT", "partNumber=3&", faults.status(403), times=None)
    stage.ferrule("push", folder, "s3://adapters/team/a", code=3, **store.env())
    assert unfinished(store) == [] and "adapter_model.safetensors" not in store.objects("team/a")


@pytest.mark.parametrize("target, trouble", [("partNumber=2&", faults.reset), ("uploads=$", lambda: faults.status(503))], ids=["part", "begin"])
def test_a_part_or_the_beginning_in_trouble(stage, store, folder, target, trouble):
    rule = store.faults.add("*", target, trouble())
    push(stage, store, folder)
    assert rule["met"] == 1
    check(store, folder)


@pytest.mark.parametrize("trouble", [faults.lost_reply, lambda: faults.done_but(503)], ids=["lost", "503-done"])
def test_an_end_whose_answer_was_lost_is_no_new_beginning(stage, store, folder, trouble):
    rule = store.faults.add("POST", r"\?uploadId=", trouble())
    push(stage, store, folder)
    assert rule["met"] == 1 and len(parts_sent(store)) == count_of(folder)
    check(store, folder)


def test_a_store_that_lists_no_uploads_is_pushed_to(stage, store, folder):
    store.faults.add("GET", "uploads=", faults.status(403), times=None)
    push(stage, store, folder)
    check(store, folder)


def test_an_error_in_a_200_is_an_error(stage, store, folder):
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
    store.faults.add("POST", r"\?uploadId=", faults.reply(faults.Response(200, body, {"Content-Type": "application/xml"})))
    error = stage.ferrule("push", folder, "s3://adapters/team/a", "--json", code=3, **store.env()).json["error"]
    assert "InternalError" in error["message"]
    store.door.log.clear()
    push(stage, store, folder)
    assert parts_sent(store) == []
    check(store, folder)
