# SPDX-License-Identifier: Apache-2.0
"""ferrule.push_to_hub."""

import json
import os
import subprocess
import threading

import ferrule
import huggingface_hub
import pytest
from adapters import content, make_adapter
from emulator import faults

from ferrule import _pending


def command(*arguments):
    words = [os.environ["FERRULE_COMMAND"], *map(str, arguments), "--json"]
    ended = subprocess.run(words, capture_output=True, text=True)
    document = json.loads(ended.stdout)
    assert document.pop("version") == 1
    return document


def test_huggingface_hub_downloads_what_was_pushed(stage):
    folder = make_adapter(stage.folder / "adapter")
    report = ferrule.push_to_hub(folder, stage.repo_id, commit_message="First", commit_description="In two lines.")
    assert (report.repo, report.revision, report.pr_url, report.unchanged) == (stage.repo_id, "main", None, [])
    assert report.uploaded == sorted(content(folder))
    head = stage.hub.repo(stage.repo_id).head()
    assert (report.commit, head.title, head.description) == (head.oid, "First", "In two lines.")
    assert report.url == f"{stage.hub.url}/{stage.repo_id}/commit/{head.oid}"
    snapshot = huggingface_hub.snapshot_download(stage.repo_id, cache_dir=stage.folder / "cache")
    got = content(snapshot)
    got.pop(".gitattributes")
    assert got == content(folder)


def test_the_report_is_the_document_of_the_command(stage):
    folder = make_adapter(stage.folder / "adapter")
    first = ferrule.push_to_hub(str(folder), stage.repo_id)
    again = ferrule.push_to_hub(folder, stage.repo_id)
    assert again.commit == first.commit and again.uploaded == []
    assert dict(again) == command("push", folder, stage.repo_id) == {**again}
    assert list(dict(first)) == ["repo", "revision", "commit", "url", "pr_url", "uploaded", "unchanged", "dry_run",
                                 "selected", "left_behind"]
    assert again["commit"] == again.commit
    with pytest.raises(KeyError, match="elsewhere"):
        again["elsewhere"]


def test_what_is_sent_can_be_chosen(stage):
    folder = make_adapter(stage.folder / "adapter")
    for name in (".env", "optimizer.pt", "data.csv"):
        (folder / name).write_text(name)
    listed = ferrule.push(folder, stage.repo_id, dry_run=True)
    assert stage.hub.requests() == [] and listed.dry_run
    assert listed.left_behind == [{"path": ".env", "why": "hidden"}, {"path": "data.csv", "why": "not part of an adapter"},
                                  {"path": "optimizer.pt", "why": "training state"}]
    assert ferrule.push(folder, stage.repo_id, all=True, dry_run=True).left_behind == [{"path": ".env", "why": "hidden"}]
    report = ferrule.push(folder, stage.repo_id, include=[".env"], exclude=["README.md"])
    assert sorted(stage.stored()) == report.selected == [".env", "adapter_config.json", "adapter_model.safetensors"]
    with pytest.raises(ferrule.NotFoundError):
        ferrule.push(stage.folder / "nowhere", stage.repo_id)


def test_a_branch_and_a_pull_request(stage):
    folder = make_adapter(stage.folder / "adapter")
    ferrule.push_to_hub(folder, stage.repo_id, revision="dev")
    assert stage.stored("dev") == content(folder) and stage.stored() == {}
    report = ferrule.push_to_hub(folder, stage.repo_id, create_pr=True)
    assert report.revision == "refs/pr/1" and report.pr_url.endswith("/discussions/1")
    assert stage.stored("refs/pr/1") == content(folder) and stage.stored() == {}


def test_private_means_private(stage):
    folder = make_adapter(stage.folder / "adapter")
    ferrule.push_to_hub(folder, stage.repo_id, private=True)
    assert stage.hub.repo(stage.repo_id).private
    stage.hub.repo(stage.repo_id).private = False
    with pytest.raises(ferrule.IoError, match="is public") as caught:
        ferrule.push_to_hub(make_adapter(folder, seed=2), stage.repo_id, private=True)
    assert (caught.value.kind, caught.value.rule) == ("public", "HB-15")
    assert len(stage.commits()) == 1
    ferrule.push_to_hub(folder, stage.repo_id, private=True, allow_public=True)
    assert stage.stored() == content(folder)


def test_what_is_no_good_adapter_is_refused_before_any_request(stage):
    folder = make_adapter(stage.folder / "adapter", r=4)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ferrule.CorruptError, match="nothing was sent") as caught:
        ferrule.push_to_hub(folder, stage.repo_id)
    assert caught.value.kind == "adapter" and isinstance(caught.value, ValueError)
    with pytest.raises(FileNotFoundError):
        ferrule.push_to_hub(stage.folder / "nowhere", stage.repo_id)
    assert stage.hub.requests() == []


def test_the_token_is_that_of_the_argument(stage, monkeypatch):
    folder = make_adapter(stage.folder / "adapter")
    reader = stage.world.add_token("ann", "read")
    with pytest.raises(PermissionError) as caught:
        ferrule.push_to_hub(folder, stage.repo_id, token=reader)
    assert caught.value.status == 403 and caught.value.kind == "forbidden"
    with pytest.raises(PermissionError) as caught:
        ferrule.push_to_hub(folder, stage.repo_id, token=False)
    assert caught.value.status == 401 and caught.value.rule == "HB-4"
    monkeypatch.delenv("HF_TOKEN")
    stage.hub.clear_log()
    with pytest.raises(PermissionError, match="there is none"):
        ferrule.push_to_hub(folder, stage.repo_id, token=True)
    assert stage.hub.requests() == []
    ferrule.push_to_hub(folder, stage.repo_id, token=stage.token)
    assert stage.stored() == content(folder)


def test_warnings_of_the_hub_are_warnings_of_pythons(stage):
    folder = make_adapter(stage.folder / "adapter")
    stage.faults.add("POST", "/preupload/", faults.with_headers(**{"X-HF-Warning": "Topic; mind the gap"}))
    with pytest.warns(UserWarning, match="mind the gap") as caught:
        ferrule.push_to_hub(folder, stage.repo_id)
    assert caught[0].filename == __file__


def test_a_pending_save_is_waited_for(stage):
    folder = stage.folder / "adapter"
    begun = threading.Event()

    def save():
        begun.wait(60)
        make_adapter(folder)

    pending = _pending.submit(str(folder), save)
    threading.Timer(0.2, begun.set).start()
    ferrule.push_to_hub(folder, stage.repo_id)
    assert pending.done()
    assert stage.stored() == content(folder)


def test_a_pending_save_that_fails_is_not_pushed_over(stage):
    folder = make_adapter(stage.folder / "adapter")

    def save():
        raise OSError("the disk is full")

    _pending.submit(str(folder), save)
    with pytest.raises(OSError, match="the disk is full"):
        ferrule.push_to_hub(folder, stage.repo_id)
    assert stage.hub.requests() == []


@pytest.mark.parametrize(("arguments", "message"), [
    ({"directory": None}, "directory: expected str or os.PathLike, found NoneType"),
    ({"repo_id": 3}, "repo_id: expected str, found int"),
    ({"revision": b"main"}, "revision: expected str, found bytes"),
    ({"commit_message": 1}, "commit_message: expected str, found int"),
    ({"token": 1.5}, "token: expected str, found float"),
    ({"progress": "yes"}, "progress: expected a bool, a bar with update"),
])
def test_wrong_types_are_named(stage, arguments, message):
    given = {"directory": make_adapter(stage.folder / "adapter"), "repo_id": stage.repo_id, **arguments}
    with pytest.raises(TypeError, match=message):
        ferrule.push_to_hub(given.pop("directory"), given.pop("repo_id"), **given)
    assert stage.hub.requests() == []


@pytest.mark.parametrize("arguments", [
    {"repo_id": "a/b/c"}, {"revision": "a..b"}, {"revision": "dev", "create_pr": True},
])
def test_what_makes_no_sense_is_a_value_error(stage, arguments):
    given = {"repo_id": stage.repo_id, **arguments}
    with pytest.raises(ValueError) as caught:
        ferrule.push_to_hub(make_adapter(stage.folder / "adapter"), given.pop("repo_id"), **given)
    assert (caught.value.code, caught.value.kind, caught.value.rule) == ("invalid_argument", "usage", "HB-1")
    assert stage.hub.requests() == []
