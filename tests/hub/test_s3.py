# SPDX-License-Identifier: Apache-2.0
"""s3:// with moto for the store and boto3 for the other client; plain folders on the web."""
import urllib.parse

import pytest
from adapters import content, make_adapter
from conftest import same_content
from emulator import Response, faults
from emulator.storage import serve_bytes
from s3 import ObjectStore


@pytest.fixture(scope="module", params=["open", "signed"])
def shared_store(request):
    store = ObjectStore(strict=request.param == "signed")
    yield store
    store.stop()


def push(stage, store, folder, where="s3://adapters/team/a", **more):
    return stage.ferrule("push", folder, where, "--json", **{**store.env(), **more})


def pull(stage, store, where="s3://adapters/team/a", out="out", **more):
    stage.ferrule("pull", where, "-o", stage.folder / out, "--json", **{**store.env(), **more})
    return stage.folder / out


def test_what_was_pushed_boto3_reads_and_we_pull(stage, store):
    folder = stage.adapter()
    make_adapter(folder / "second", seed=2, card=False)
    push(stage, store, folder)
    objects = store.objects("team/a")
    assert {path: objects[path] for path in content(folder)} == content(folder)
    same_content(pull(stage, store), content(folder))
    assert stage.hub.requests() == []


def test_the_manifest_is_written_last(stage, store):
    folder = stage.adapter()
    push(stage, store, folder)
    written = [key.removeprefix("/adapters/team/a/") for key in store.puts()]
    assert written[-1] not in content(folder) and set(written[:-1]) >= set(content(folder))


def test_an_unchanged_push_sends_nothing(stage, store):
    folder = stage.adapter()
    push(stage, store, folder)
    store.door.log.clear()
    push(stage, store, folder)
    assert store.puts() == []


@pytest.mark.parametrize("last", [False, True], ids=["weights", "manifest"])
def test_a_push_that_fails_leaves_the_old_adapter_readable(stage, store, last):
    folder = stage.adapter(seed=1)
    push(stage, store, folder)
    before = content(folder)
    written = len(store.puts())
    stage.adapter(seed=2, title="Another")
    store.faults.add("PUT", ".", faults.status(403), times=None, skip=0 if not last else 2)
    done = stage.ferrule("push", folder, "s3://adapters/team/a", code=3, **store.env())
    assert done.err and written >= 3
    store.faults.clear()
    same_content(pull(stage, store), before)
    push(stage, store, folder)
    same_content(pull(stage, store, out="again"), content(folder))


def test_what_boto3_uploaded_we_pull(stage, store):
    folder = stage.adapter()
    store.upload(content(folder), "team/a")
    same_content(pull(stage, store), content(folder))


def test_odd_names(stage, store):
    folder = stage.adapter()
    for name in ("a b.txt", "ünï.txt", "100%.txt", "q?&#=.txt", "+plus.txt", "tilde~.txt", "star*.txt", "(x)!'.txt"):
        (folder / name).write_text(name)
    push(stage, store, folder, "s3://adapters/team x/ä")
    objects = store.objects("team x/ä")
    assert {path: objects.get(path) for path in content(folder)} == content(folder)
    same_content(pull(stage, store, "s3://adapters/team x/ä"), content(folder))


def test_a_listing_of_several_pages(stage, store):
    files = {**content(stage.adapter()), **{f"eval/{n:04d}.txt": b"x" for n in range(60)}}
    store.upload(files, "team/a")
    store.door.log.clear()
    same_content(pull(stage, store), files)
    assert sum("list-type" in request.query for request in store.door.log) == 3


def test_a_prefix_is_no_beginning_of_another(stage, store):
    store.upload(content(stage.adapter()), "team/a")
    store.upload({"x.txt": b"no"}, "team/ab")
    same_content(pull(stage, store), content(stage.adapter()))


def test_the_whole_bucket(stage, store):
    folder = stage.adapter()
    push(stage, store, folder, "s3://adapters")
    same_content(pull(stage, store, "s3://adapters"), content(folder))


@pytest.mark.parametrize("env", [
    {"AWS_ENDPOINT_URL": None, "AWS_ENDPOINT_URL_S3": "{url}"}, {"AWS_REGION": None, "AWS_DEFAULT_REGION": "us-east-1"}, {"AWS_SESSION_TOKEN": "session"},
], ids=lambda env: list(env)[-1])
def test_the_usual_variables(stage, store, env):
    if "AWS_SESSION_TOKEN" in env and store.key != "testing":
        env = {}  # moto knows no session for a user's own key
    folder = stage.adapter()
    push(stage, store, folder, **{name: value and value.format(url=store.url) for name, value in env.items()})
    assert set(store.objects("team/a")) >= set(content(folder))
    if "AWS_SESSION_TOKEN" in env:
        assert all(r.headers["x-amz-security-token"] == "session" for r in store.door.log)


def test_requests_are_signed_with_the_hash_of_what_they_carry(stage, store):
    push(stage, store, stage.adapter())
    for request in store.door.log:
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
        assert "x-amz-content-sha256" in request.headers["Authorization"] and request.headers["x-amz-content-sha256"]
        assert store.secret not in str(request.headers) + request.target


def test_a_wrong_secret(stage, store):
    if store.key == "testing":
        store.faults.add("*", ".", faults.status(403, "SignatureDoesNotMatch"), times=None)
    done = stage.ferrule("push", stage.adapter(), "s3://adapters/team/a", "--json", code=3, **{**store.env(), "AWS_SECRET_ACCESS_KEY": "wrongwrong"})
    assert done.json["error"]["status"] == 403 and "wrongwrong" not in done.out + done.err
    store.faults.clear()
    assert store.objects() == {}


def test_no_credentials(stage, store):
    error = stage.ferrule("push", stage.adapter(), "s3://adapters/team/a", "--json", code=3,
                          **{**store.env(), "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}).json["error"]
    assert "AWS_ACCESS_KEY_ID" in error["message"]


def test_missing_bucket_and_prefix(stage, store):
    error = stage.ferrule("pull", "s3://nowhere/a", "-o", "out", "--json", code=3, **store.env()).json["error"]
    assert error["status"] == 404 and "nowhere" in error["message"]
    stage.ferrule("pull", "s3://adapters/nowhere", "-o", "out", code=3, **store.env())
    assert not (stage.folder / "out").exists() or content(stage.folder / "out") == {}


@pytest.mark.parametrize("fault", [lambda: faults.status(503), faults.reset, lambda: faults.status(500), lambda: faults.cut(50)], ids=["503", "reset", "500", "cut"])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_trouble_is_survived(stage, store, method, fault):
    folder = stage.adapter()
    store.faults.add(method, "adapter_model", fault())
    push(stage, store, folder)
    same_content(pull(stage, store), content(folder))


def test_bytes_that_are_not_those_of_the_manifest_are_refused(stage, store):
    folder = stage.adapter()
    push(stage, store, folder)
    data = bytearray((folder / "adapter_model.safetensors").read_bytes())
    data[-1] ^= 1
    store.upload({"adapter_model.safetensors": bytes(data)}, "team/a")
    stage.ferrule("pull", "s3://adapters/team/a", "-o", "out", code=1, **store.env())
    assert not (stage.folder / "out").exists() or content(stage.folder / "out") == {}


def test_hostile_keys_are_refused(stage, store):
    store.upload({**content(stage.adapter()), "../../evil": b"x"}, "team/a")
    assert stage.ferrule("pull", "s3://adapters/team/a", "-o", "deep/er/out", code=None, **store.env()).code in (1, 3)
    assert not list(stage.folder.rglob("*evil*"))


def test_a_redirect_carries_no_signature_elsewhere(stage, store):
    push(stage, store, stage.adapter())
    store.faults.add("GET", ".", faults.redirect(stage.hub.elsewhere.url + "/x", 307), times=None)
    stage.ferrule("pull", "s3://adapters/team/a", "-o", "out", code=3, **store.env())
    assert not any("Authorization" in r.headers for r in stage.hub.requests(origin="elsewhere"))


# --- plain folders on the web


def serve(stage, files):
    def handle(request):
        path = urllib.parse.unquote(request.path).removeprefix("/x/")
        return serve_bytes(request, files[path], {"ETag": '"1"'}) if path in files else Response(404, b"no")

    stage.hub.elsewhere.handle = handle
    return stage.hub.elsewhere.url + "/x"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_on_the_web(stage, slash):
    files = content(stage.adapter())
    stage.ferrule("pull", serve(stage, files) + slash, "-o", "out")
    same_content(stage.folder / "out", files)
    assert not any("Authorization" in r.headers for r in stage.hub.requests(origin="elsewhere"))


def test_a_folder_on_the_web_without_a_card(stage):
    files = content(stage.adapter(card=False))
    stage.ferrule("pull", serve(stage, files), "-o", "out")
    same_content(stage.folder / "out", files)


def test_a_folder_on_the_web_that_is_no_adapter(stage):
    stage.ferrule("pull", serve(stage, {"x": b"y"}), "-o", "out", code=3)
    assert not (stage.folder / "out").exists()


def test_a_broken_body_of_the_web_goes_on(stage):
    files = content(stage.adapter(hidden=1024))
    url = serve(stage, files)
    stage.hub.faults.add("GET", "adapter_model", faults.cut(50_000))
    stage.ferrule("pull", url, "-o", "out")
    same_content(stage.folder / "out", files)
