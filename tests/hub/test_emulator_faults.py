# SPDX-License-Identifier: Apache-2.0
"""That the emulator's faults bite: huggingface_hub 2.4.0, which has no remedy for them, is lost to each.

The same faults stand in test_push_faults.py, test_pull_faults.py and test_cache.py, where ferrule must survive them.
"""
import pytest
from adapters import content
from emulator import faults
from test_emulator_python import API

WEIGHTS = "adapter_model.safetensors"
PUSH = API + "api.upload_folder(repo_id='ann/a', folder_path=args[0])"
FETCH = API + f"print(json.dumps(hf_hub_download('ann/a', '{WEIGHTS}')))"


@pytest.mark.parametrize("fault, committed", [
    (faults.lost_reply, True), (lambda: faults.done_but(504), True), (lambda: faults.status(503), False), (faults.reset, False),
    (lambda: faults.status(429, headers={"Retry-After": "0"}), False),
], ids=["lost-reply", "504-done", "503", "reset", "429"])
def test_a_commit_in_trouble_ends_the_push(stage, fault, committed):
    folder = stage.adapter()
    stage.hub.world.create("ann/a")
    stage.hub.faults.add("POST", "/commit/", fault())
    assert stage.python(PUSH, folder, check=False).code == 1
    assert (stage.stored("ann/a") == content(folder)) == committed


def test_an_expired_upload_url_ends_the_push(stage):
    stage.hub.world.create("ann/a")
    stage.hub.store.born_expired = 1
    done = stage.python(PUSH, stage.adapter(), check=False)
    assert done.code == 1 and "403" in done.err


def test_private_onto_public_uploads_publicly(stage):
    folder = stage.adapter()
    stage.hub.world.create("ann/a")
    stage.python(API + "api.create_repo('ann/a', private=True, exist_ok=True)\napi.upload_folder(repo_id='ann/a', folder_path=args[0])", folder)
    assert stage.stored("ann/a") == content(folder) and not stage.hub.repo("ann/a").private


def host(stage):
    files = content(stage.adapter())
    stage.hub.world.put(stage.hub.world.create("ann/a"), files)
    return files


def test_a_flipped_bit_is_handed_out(stage):
    files = host(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.flip(1000))
    path = stage.python(FETCH)
    with open(path, "rb") as file:
        data = file.read()
    assert data != files[WEIGHTS] and len(data) == len(files[WEIGHTS])


def test_a_damaged_blob_is_handed_out_offline(stage):
    host(stage)
    path = stage.python(FETCH)
    with open(path, "wb") as file:
        file.write(b"short")
    assert stage.python(FETCH, HF_HUB_OFFLINE="1") == path


def test_a_broken_body_starts_again(stage):
    files = host(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.cut(10_000))
    stage.python(FETCH)
    again = stage.hub.requests("GET", "/cdn/")[1]
    assert again.sent == len(files[WEIGHTS])


@pytest.mark.parametrize("fault", [lambda: faults.status(503), lambda: faults.status(403)], ids=["503", "expired"])
def test_trouble_at_the_cdn_ends_the_download(stage, fault):
    host(stage)
    stage.hub.faults.add("GET", "/cdn/", fault())
    assert stage.python(FETCH, check=False).code == 1


def test_a_page_of_a_hotel_ends_in_a_traceback(stage):
    host(stage)
    stage.hub.faults.add("GET", "/api/models/ann/a/revision", faults.html())
    assert "JSONDecodeError" in stage.python(API + "snapshot_download('ann/a')", check=False).err
