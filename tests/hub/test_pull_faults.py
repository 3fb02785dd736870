# SPDX-License-Identifier: Apache-2.0
"""ferrule pull when the network or the Hub fails: every byte is checked, nothing is fetched twice."""
import json

import pytest
from adapters import content
from conftest import same_content
from emulator import faults
from test_pull import host, pull

WEIGHTS = "adapter_model.safetensors"
TROUBLES = {
    "429-retry-after": lambda: faults.status(429, headers={"Retry-After": "0"}),
    "429-window": lambda: faults.status(429, headers={"RateLimit": '"api";r=0;t=0'}),
    "500": lambda: faults.status(500),
    "503": lambda: faults.status(503, headers={"Retry-After": "0"}),
    "reset": faults.reset,
    "closed": faults.close,
    "cut": lambda: faults.cut(20),
    "cut-fin": lambda: faults.cut(20, "close"),
}
STEPS = {"info": r"/api/models/ann/a(/revision/|$|\?)", "tree": "/tree/", "small": "README.md|adapter_config", "cdn": "/cdn/"}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_survives_every_trouble(stage, step, trouble):
    files = host(stage)
    rule = stage.hub.faults.add("GET", STEPS[step], TROUBLES[trouble]())
    answer = pull(stage, "ann/a")
    assert rule["met"] == 1 or step == "info"
    same_content(answer["path"], files)


def test_trouble_that_lasts_ends(stage):
    host(stage)
    rule = stage.hub.faults.add("GET", "/cdn/", faults.status(503, headers={"Retry-After": "0"}), times=None)
    error = stage.ferrule("pull", "ann/a", "--json", code=3).json["error"]
    assert error["status"] == 503 and WEIGHTS in error["message"] and rule["met"] < 20


# --- broken bodies


def big(stage):
    return host(stage, files=content(stage.adapter(layers=8, hidden=2048)))


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_broken_body_goes_on_where_it_broke(stage, how):
    files = big(stage)
    size = len(files[WEIGHTS])
    for at in (1, 300_001, 77_777):
        stage.hub.faults.add("GET", "/cdn/", faults.cut(at, how))
    same_content(pull(stage, "ann/a")["path"], files)
    log = stage.hub.requests("GET", "/cdn/")
    assert sum(r.sent for r in log) < size * 1.1 and log[1].headers["Range"] == "bytes=1-", log


def test_progress_resets_the_patience(stage):
    """Many breaks, each after some bytes, are no reason to give up."""
    files = big(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.cut(len(files[WEIGHTS]) // 12), times=11)
    same_content(pull(stage, "ann/a")["path"], files)


def test_a_server_that_ignores_the_range(stage):
    files = big(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.cut(100_000))
    stage.hub.faults.add("GET", "/cdn/", faults.ignore_range())
    same_content(pull(stage, "ann/a")["path"], files)


@pytest.mark.parametrize("header", ["bytes 0-99/100", "bytes 5-9/*", "nonsense"])
def test_a_wrong_content_range(stage, header):
    files = big(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.cut(100_000))
    stage.hub.faults.add("GET", "/cdn/", faults.with_headers(Content_Range=header))
    same_content(pull(stage, "ann/a")["path"], files)


def test_a_refused_range(stage):
    files = big(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.cut(100_000))
    stage.hub.faults.add("GET", "/cdn/", faults.status(416, headers={"Content-Range": f"bytes */{len(files[WEIGHTS])}"}))
    same_content(pull(stage, "ann/a")["path"], files)


def test_an_expired_url_is_asked_for_again(stage):
    files = big(stage)
    stage.hub.store.born_expired = 1
    same_content(pull(stage, "ann/a")["path"], files)


def test_a_url_that_expires_in_the_middle(stage):
    files = big(stage)

    def cut_and_expire(exchange):
        faults.cut(200_000)(exchange)
        stage.hub.store.expire_all()

    stage.hub.faults.add("GET", "/cdn/", cut_and_expire)
    same_content(pull(stage, "ann/a")["path"], files)
    assert sum(r.sent for r in stage.hub.requests("GET", "/cdn/") if r.status in (200, 206)) < len(files[WEIGHTS]) * 1.1


def test_a_stalled_body_goes_on(stage):
    files = big(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.stall(150_000, 40))
    same_content(pull(stage, "ann/a", HF_HUB_DOWNLOAD_TIMEOUT="2")["path"], files)


def test_a_stalled_reply_goes_on(stage):
    files = host(stage)
    stage.hub.faults.add("GET", "/tree/", faults.stall(None, 40))
    same_content(pull(stage, "ann/a", HF_HUB_ETAG_TIMEOUT="2", HF_HUB_DOWNLOAD_TIMEOUT="2")["path"], files)


# --- wrong bytes


@pytest.mark.parametrize("target", ["/cdn/", "adapter_config"])
def test_a_flipped_bit_is_noticed_and_fetched_again(stage, target):
    files = host(stage)
    stage.hub.faults.add("GET", target if target == "/cdn/" else r"resolve-cache.*adapter_config", faults.flip(100))
    same_content(pull(stage, "ann/a")["path"], files)


@pytest.mark.parametrize("target", ["/cdn/", "resolve-cache.*adapter_config"])
def test_bytes_that_stay_wrong_are_an_integrity_failure(stage, target):
    host(stage)
    stage.hub.faults.add("GET", target, faults.flip(100), times=None)
    error = stage.ferrule("pull", "ann/a", "--json", code=1).json["error"]
    assert ("adapter_model" if target == "/cdn/" else "adapter_config") in error["message"]
    snapshots = stage.cache / "models--ann--a" / "snapshots"
    assert not any("adapter_model" in p.name for p in snapshots.rglob("*") if target == "/cdn/")


@pytest.mark.parametrize("target", ["/cdn/", "resolve-cache.*README"])
def test_more_bytes_than_listed_are_refused(stage, target):
    host(stage)

    def longer(response):
        response.body += b"x" * 100

    stage.hub.faults.add("GET", target, faults.edit(longer), times=None)
    stage.ferrule("pull", "ann/a", code=1)


def test_a_pointer_instead_of_the_weights_is_refused(stage):
    host(stage)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 3\n"
    stage.hub.faults.add("GET", "/cdn/", faults.reply(lambda r: faults.Response(200, pointer)), times=None)
    stage.ferrule("pull", "ann/a", code=1)


def test_a_page_instead_of_the_weights_is_refused(stage):
    host(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.html(), times=None)
    stage.ferrule("pull", "ann/a", code=None)
    assert not list((stage.cache / "models--ann--a").rglob("adapter_model*"))


# --- servers that are no Hub


PAGES = {
    "html": faults.html(),
    "garbage": faults.garbage(),
    "deep": faults.deep_json(500_000),
    "types": faults.reply(lambda r: faults.Response(200, b'{"sha": 7, "id": [], "siblings": "x"}')),
    "not-json": faults.reply(lambda r: faults.Response(200, b'{"sha": "')),
    "empty": faults.reply(lambda r: faults.Response(200, b"")),
    "utf8": faults.reply(lambda r: faults.Response(200, b'{"sha": "\xff\xfe"}')),
}


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("step", ["info", "tree"])
def test_answers_that_make_no_sense_end_the_pull(stage, step, page):
    host(stage)
    stage.hub.faults.add("*", STEPS[step], PAGES[page], times=None)
    error = stage.ferrule("pull", "ann/a", "--json", code=3).json["error"]
    assert error["kind"] and error["message"]


BAD_NAMES = ["../evil", "a/../../evil", "/etc/evil", "..", ".", "a//b", "a/./b", "a\\..\\evil", "C:\\evil", "nul\0byte", "x" * 300, "", "a/" * 3000 + "x",
             ".git/config", "line\nbreak/../.."]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_hostile_names_are_refused(stage, name):
    host(stage)

    def plant(response):
        entries = json.loads(response.body)
        entries.append({**entries[0], "path": name})
        response.body = json.dumps(entries).encode()

    stage.hub.faults.add("GET", "/tree/", faults.edit(plant), times=None)
    for options in ([], ["-o", stage.folder / "deep" / "er" / "out"]):
        done = stage.ferrule("pull", "ann/a", *options, code=None)
        assert done.code in (1, 3), done
    assert not [p for p in stage.folder.rglob("*evil*")]


@pytest.mark.parametrize("change", [
    {"size": -1}, {"size": 1 << 70}, {"size": "12"}, {"size": None}, {"oid": "../../x"}, {"oid": 7}, {"lfs": {"oid": "../x", "size": 4}},
    {"lfs": {"oid": "0" * 64, "size": 1 << 62}}, {"lfs": []}, {"type": "symlink"}, {"path": 7},
], ids=str)
def test_hostile_entries_are_refused(stage, change):
    host(stage)

    def plant(response):
        entries = json.loads(response.body)
        next(e for e in entries if e["path"] == WEIGHTS).update(change)
        response.body = json.dumps(entries).encode()

    stage.hub.faults.add("GET", "/tree/", faults.edit(plant), times=None)
    done = stage.ferrule("pull", "ann/a", code=None, limit=90)
    assert done.code in (1, 3) or change.get("type") == "symlink", done


def test_one_name_twice(stage):
    host(stage)

    def plant(response):
        entries = json.loads(response.body)
        response.body = json.dumps(entries + [{**entries[-1], "oid": "0" * 40}]).encode()

    stage.hub.faults.add("GET", "/tree/", faults.edit(plant), times=None)
    assert stage.ferrule("pull", "ann/a", code=None).code in (1, 3)


def test_a_file_that_is_also_a_folder(stage):
    host(stage)

    def plant(response):
        entries = json.loads(response.body)
        response.body = json.dumps(entries + [{**entries[-1], "path": entries[-1]["path"] + "/x"}]).encode()

    stage.hub.faults.add("GET", "/tree/", faults.edit(plant), times=None)
    assert stage.ferrule("pull", "ann/a", code=None).code in (1, 3)


@pytest.mark.parametrize("sha", ["../../../evil", "main", "0" * 39, "0" * 41, "Z" * 40, ""])
def test_a_hostile_commit_id(stage, sha):
    host(stage)

    def plant(response):
        if response.status == 200:
            response.body = json.dumps({**json.loads(response.body), "sha": sha}).encode()

    stage.hub.faults.add("GET", STEPS["info"], faults.edit(plant), times=None)
    assert stage.ferrule("pull", "ann/a", code=None).code in (1, 3)
    assert not list(stage.folder.rglob("*evil*"))


# --- redirects


def test_a_redirect_loop_ends(stage):
    host(stage)
    rule = stage.hub.faults.add("*", "adapter_config", faults.redirect(lambda r: r.target, 307), times=None)
    stage.ferrule("pull", "ann/a", code=3)
    assert rule["met"] <= 60


def test_a_redirect_loop_on_the_cdn_ends(stage):
    host(stage)
    rule = stage.hub.faults.add("GET", "/cdn/", faults.redirect(lambda r: stage.hub.storage.url + r.target), times=None)
    stage.ferrule("pull", "ann/a", code=3)
    assert rule["met"] <= 120


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:70/x", "javascript:1", "http://", "//", "http://[::1"])
def test_redirects_to_other_protocols_are_refused(stage, where):
    host(stage)
    stage.hub.faults.add("*", "/resolve/.*adapter_model", faults.redirect(where), times=None)
    stage.ferrule("pull", "ann/a", code=3)
    assert not list((stage.cache / "models--ann--a").rglob("adapter_model*"))


@pytest.mark.parametrize("step", ["info", "tree"])
@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_an_api_redirect_to_another_origin_gets_no_token(stage, step, code):
    host(stage)
    stage.hub.faults.add("GET", STEPS[step], faults.redirect(stage.hub.elsewhere.url + "/x", code), times=None)
    stage.ferrule("pull", "ann/a", code=3)
    assert not any("Authorization" in r.headers for r in stage.hub.requests(origin="elsewhere"))


def test_the_next_page_elsewhere_is_not_followed(stage):
    host(stage, files={f"f{i}.txt": b"x" for i in range(20)})
    stage.hub.page_size = 5
    stage.hub.faults.add("GET", "/tree/", faults.with_headers(Link=f'<{stage.hub.elsewhere.url}/x>; rel="next"'))
    stage.ferrule("pull", "ann/a", code=3)
    assert not any("Authorization" in r.headers for r in stage.hub.requests(origin="elsewhere"))


def test_pages_that_never_end(stage):
    host(stage)
    stage.hub.faults.add("GET", "/tree/", faults.with_headers(Link=f'<{stage.hub.url}/api/models/ann/a/tree/main?cursor=0>; rel="next"'), times=None)
    stage.ferrule("pull", "ann/a", code=3, limit=90)
