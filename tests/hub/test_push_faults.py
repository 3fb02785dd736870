# SPDX-License-Identifier: Apache-2.0
"""ferrule push when the network or the Hub fails: at most one commit, and exit 0 if it stands."""
import hashlib

import pytest
from adapters import content
from emulator import faults

STALE = "The branch was updated since you opened this page. Please refresh and try again."
QUOTA = "You have exceeded the rate limit for repository commits (128 per hour). Retry in about 1 hour"
WINDOW_END = {"RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";"api";q=1000;w=300'}
CREATE, PREUPLOAD, BATCH, PUT, VERIFY, COMMIT = r"/repos/create", "/preupload/", "objects/batch", "/lfs/", "objects/verify", "/commit/"

STEPS = [("POST", CREATE), ("POST", "validate-yaml"), ("POST", PREUPLOAD), ("POST", BATCH), ("PUT", PUT), ("POST", VERIFY), ("POST", COMMIT)]
TROUBLES = {
    "429-retry-after": lambda: faults.status(429, headers={"Retry-After": "0"}),
    "429-window": lambda: faults.status(429, headers=WINDOW_END),
    "503": lambda: faults.status(503),
    "500": lambda: faults.status(500),
    "reset": faults.reset,
    "reset-early": faults.reset_early,
    "closed": faults.close,
    "lost-reply": faults.lost_reply,
    "done-but-504": lambda: faults.done_but(504),
}


def check_one_commit(stage, folder, commits=2):
    """Everything arrived, by one commit on top of the first."""
    assert stage.stored("ann/a") == content(folder)
    assert len(stage.hub.repo("ann/a").commits) == commits


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("method, target", STEPS, ids=[target.strip("/") for _, target in STEPS])
def test_every_step_survives_every_trouble(stage, method, target, trouble):
    folder = stage.adapter()
    rule = stage.hub.faults.add(method, target, TROUBLES[trouble]())
    answer = stage.ferrule("push", folder, "ann/a", "--json").json
    assert rule["met"] == 1
    check_one_commit(stage, folder)
    assert answer["commit"] == stage.hub.repo("ann/a").head().oid


@pytest.mark.parametrize("target", [COMMIT, PREUPLOAD])
def test_a_date_in_retry_after_is_understood(stage, target):
    folder = stage.adapter()
    stage.hub.faults.add("POST", target, faults.status(503, headers={"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}))
    stage.ferrule("push", folder, "ann/a")
    check_one_commit(stage, folder)


def test_a_hidden_quota_ends_with_the_servers_words(stage):
    folder = stage.adapter()
    rule = stage.hub.faults.add("POST", COMMIT, faults.status(429, QUOTA, {"RateLimit": '"api";r=949;t=271'}), times=None)
    error = stage.ferrule("push", folder, "ann/a", "--json", code=3, limit=90).json["error"]
    assert rule["met"] == 1 and error["status"] == 429
    assert "128 per hour" in error["message"]


@pytest.mark.parametrize("target", [CREATE, BATCH, COMMIT])
def test_a_long_wait_is_refused_or_ends(stage, target):
    """Nobody wants to wait for an hour: the server's words, at once."""
    stage.hub.faults.add("POST", target, faults.status(429, "Too many requests", {"Retry-After": "3600"}), times=None)
    error = stage.ferrule("push", stage.adapter(), "ann/a", "--json", code=3, limit=90).json["error"]
    assert error["status"] == 429 and "Too many requests" in error["message"]


@pytest.mark.parametrize("fault, commits", [
    (faults.lost_reply, 1), (lambda: faults.done_but(500), 1), (lambda: faults.done_but(503), 1), (lambda: faults.done_but(412, STALE), 1),
    (faults.close, 2), (lambda: faults.status(502), 2),
], ids=["lost", "500-done", "503-done", "412-done", "closed", "502"])
def test_a_commit_is_never_made_twice(stage, fault, commits):
    folder = stage.adapter()
    stage.hub.faults.add("POST", COMMIT, fault())
    stage.ferrule("push", folder, "ann/a")
    check_one_commit(stage, folder)
    assert len(stage.hub.requests("POST", COMMIT)) == commits


def test_a_lost_reply_and_then_a_failing_look(stage):
    folder = stage.adapter()
    stage.hub.faults.add("POST", COMMIT, faults.lost_reply())
    stage.hub.faults.add("POST", PREUPLOAD, faults.status(503), skip=1)
    stage.ferrule("push", folder, "ann/a")
    check_one_commit(stage, folder)


@pytest.mark.parametrize("fault", [faults.lost_reply, lambda: faults.done_but(504), lambda: faults.status(503), faults.reset],
                         ids=["lost", "504-done", "503", "reset"])
@pytest.mark.parametrize("target", [COMMIT, "/discussions"])
def test_a_pull_request_is_never_opened_twice(stage, target, fault):
    folder = stage.adapter()
    stage.ferrule("push", folder, "ann/a")
    stage.adapter(seed=2)
    stage.hub.faults.add("POST", target, fault())
    answer = stage.ferrule("push", folder, "ann/a", "--create-pr", "--json").json
    assert len(stage.hub.repo("ann/a").discussions) == 1
    assert stage.stored("ann/a", "refs/pr/1") == content(folder) and answer["pr_url"].endswith("/discussions/1")


def test_somebody_else_commits_in_between(stage):
    """A 412 that is true: the other's commit stays, ours goes on top."""
    folder = stage.adapter()
    stage.hub.world.create("ann/a")

    def other_first(exchange):
        stage.hub.world.put(stage.hub.repo("ann/a"), {"other.txt": b"theirs"})
        exchange.send(exchange.answer())

    stage.hub.faults.add("POST", COMMIT, other_first)
    stage.ferrule("push", folder, "ann/a")
    assert stage.stored("ann/a") == {**content(folder), "other.txt": b"theirs"}


@pytest.mark.parametrize("target", [CREATE, "/branch/"])
def test_busy_is_not_there_already(stage, target):
    folder = stage.adapter()
    rule = stage.hub.faults.add("POST", target, faults.status(409, "Cannot create repo: another conflicting operation is in progress"), times=2)
    stage.ferrule("push", folder, "ann/a", *(["--revision", "dev"] if target != CREATE else []))
    assert rule["met"] == 2 and stage.stored("ann/a", "dev" if target != CREATE else "main") == content(folder)


def test_busy_for_ever_ends(stage):
    rule = stage.hub.faults.add("POST", CREATE, faults.status(409, "Cannot create repo: another conflicting operation is in progress"), times=None)
    error = stage.ferrule("push", stage.adapter(), "ann/a", "--json", code=3).json["error"]
    assert "conflicting operation" in error["message"] and rule["met"] < 20


# --- uploads


def test_expired_upload_urls_are_asked_for_again(stage):
    folder = stage.adapter()
    stage.hub.store.born_expired = 1
    stage.ferrule("push", folder, "ann/a")
    check_one_commit(stage, folder)
    assert len(stage.hub.requests("POST", BATCH)) == 2


def test_urls_that_expire_in_the_middle_of_a_multipart_upload(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 40_000
    folder = stage.adapter(hidden=1024)

    def expire(exchange):
        exchange.send(exchange.answer())
        stage.hub.store.expire_all()

    stage.hub.faults.add("PUT", "/multipart/", expire, skip=2)
    stage.ferrule("push", folder, "ann/a")
    check_one_commit(stage, folder)


@pytest.mark.parametrize("trouble", ["503", "reset", "reset-early", "closed", "lost-reply", "429-retry-after"])
@pytest.mark.parametrize("method, target", [("PUT", "/multipart/"), ("POST", "/complete/")], ids=["part", "complete"])
def test_a_multipart_upload_survives(stage, method, target, trouble):
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 40_000
    folder = stage.adapter(hidden=1024)
    rule = stage.hub.faults.add(method, target, TROUBLES[trouble](), skip=1 if method == "PUT" else 0)
    stage.ferrule("push", folder, "ann/a")
    assert rule["met"] == 1
    check_one_commit(stage, folder)


def test_storage_that_says_the_checksum_is_wrong_ends_the_push(stage):
    folder = stage.adapter()
    stage.hub.faults.add("PUT", "/lfs/", faults.status(400, "BadDigest"), times=None)
    stage.ferrule("push", folder, "ann/a", code=3)
    assert stage.stored("ann/a") == {} and not stage.hub.requests("POST", COMMIT)


@pytest.mark.parametrize("change", ["zero", "text", "huge", "few", "many"])
def test_a_multipart_answer_that_makes_no_sense(stage, change):
    import json

    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 70_000

    def edit(response):
        answer = json.loads(response.body)
        header = answer["objects"][0]["actions"]["upload"]["header"]
        if change == "few":
            del header["00002"]
        elif change == "many":
            header["00099"] = header["00001"]
        else:
            header["chunk_size"] = {"zero": "0", "text": "many", "huge": "99999999999999999999"}[change]
        response.body = json.dumps(answer).encode()

    stage.hub.faults.add("POST", BATCH, faults.edit(edit), times=None)
    stage.ferrule("push", stage.adapter(hidden=1024), "ann/a", code=3)
    assert stage.stored("ann/a") == {}


def test_a_file_that_changes_during_the_push_is_noticed(stage):
    """Never a commit of bytes that are not those of its hash."""
    folder = stage.adapter()
    weights = folder / "adapter_model.safetensors"

    def change(exchange):
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        exchange.send(exchange.answer())

    stage.hub.faults.add("POST", BATCH, change)
    stage.ferrule("push", folder, "ann/a", code=None)
    for path, data in stage.stored("ann/a").items():
        file = stage.hub.repo("ann/a").files()[path]
        assert not file.lfs or hashlib.sha256(data).hexdigest() == file.sha256


# --- servers that are no Hub


NONSENSE = {
    "html": faults.html(),
    "garbage": faults.garbage(),
    "deep": faults.deep_json(200_000),
    "list": faults.reply(lambda r: faults.Response(200, b"[]")),
    "types": faults.reply(lambda r: faults.Response(200, b'{"files": 7, "objects": {"a": 1}}')),
}


def nonsense():
    """After garbage the push tries again for 8 s, after a commit's answer it looks for 16 s: one of each runs always."""
    for fault in NONSENSE:
        for target in (CREATE, PREUPLOAD, BATCH, COMMIT):
            waits = (fault == "garbage" and target != BATCH) or (target == COMMIT and fault != "html")
            yield pytest.param(fault, target, marks=[pytest.mark.slow] if waits else [])


@pytest.mark.parametrize("fault, target", nonsense())
def test_answers_that_make_no_sense_end_the_push(stage, fault, target):
    stage.hub.faults.add("POST", target, NONSENSE[fault], times=None)
    error = stage.ferrule("push", stage.adapter(), "ann/a", "--json", code=3).json["error"]
    assert error["kind"] and error["message"]
    assert not stage.hub.world.lookup("model", "ann/a") or stage.stored("ann/a") == {}


@pytest.mark.parametrize("target", [CREATE, PREUPLOAD, BATCH, COMMIT, VERIFY])
@pytest.mark.parametrize("code", [302, 307, 308])
def test_a_redirect_to_another_origin_gets_no_token(stage, target, code):
    elsewhere = stage.hub.elsewhere.url
    stage.hub.faults.add("POST", target, faults.redirect(elsewhere + "/x", code), times=None)
    stage.ferrule("push", stage.adapter(), "ann/a", code=3)
    assert not any("Authorization" in r.headers or r.body for r in stage.hub.requests(origin="elsewhere"))


def test_an_upload_url_of_another_hub_gets_no_token(stage):
    """The Hub says where to upload; even its own address there gets no token."""
    folder = stage.adapter()
    stage.ferrule("push", folder, "ann/a")
    assert all("Authorization" not in r.headers for r in stage.hub.requests("PUT"))


def test_a_verify_url_elsewhere_gets_no_token(stage):
    import json

    stage.hub.verify_header = False

    def edit(response):
        answer = json.loads(response.body)
        answer["objects"][0]["actions"]["verify"]["href"] = stage.hub.elsewhere.url + "/verify"
        response.body = json.dumps(answer).encode()

    stage.hub.faults.add("POST", BATCH, faults.edit(edit))
    stage.ferrule("push", stage.adapter(), "ann/a", code=None)
    assert not any("Authorization" in r.headers for r in stage.hub.requests(origin="elsewhere"))


def test_a_stalled_reply_times_out(stage):
    folder = stage.adapter()
    stage.hub.faults.add("POST", PREUPLOAD, faults.stall(None, 40))
    stage.ferrule("push", folder, "ann/a", HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")
    check_one_commit(stage, folder)


def test_nobody_listens(stage):
    error = stage.ferrule("push", stage.adapter(), "ann/a", "--json", code=3, HF_ENDPOINT="http://127.0.0.1:9").json["error"]
    assert error["kind"] and "127.0.0.1" in error["message"] and not error["status"]


def test_offline_is_refused_without_a_request(stage):
    stage.ferrule("push", stage.adapter(), "ann/a", code=3, HF_HUB_OFFLINE="1")
    assert stage.hub.requests() == []
