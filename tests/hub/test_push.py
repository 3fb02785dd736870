# SPDX-License-Identifier: Apache-2.0
"""ferrule push, with a Hub that behaves."""
import json
import shutil

import pytest
from adapters import content, make_adapter
from conftest import same_content
from programs import javascript

FILES = ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def push(stage, folder, repo_id="ann/a", *options, **more):
    return stage.ferrule("push", folder, repo_id, *options, "--json", **more).json


def refused(stage, *arguments, code, **more):
    """The error of a push that must fail with exit status `code`."""
    return stage.ferrule("push", *arguments, "--json", code=code, **more).json["error"]


# --- the main road


def test_fresh_push_takes_eight_requests(stage):
    folder = stage.adapter()
    answer = push(stage, folder)
    assert stage.stored("ann/a") == content(folder)
    hub, storage = stage.counts()
    assert hub <= 8 and storage == 1, stage.hub.requests()
    head = stage.hub.repo("ann/a").head()
    assert (answer["repo"], answer["revision"], answer["commit"]) == ("ann/a", "main", head.oid)
    assert answer["url"].startswith(stage.hub.url) and answer["pr_url"] is None
    assert sorted(answer["uploaded"]) == FILES and answer["unchanged"] == []


def test_second_push_takes_three_requests_and_no_upload(stage):
    folder = stage.adapter()
    first = push(stage, folder)
    stage.hub.clear_log()
    second = push(stage, folder)
    hub, storage = stage.counts()
    assert hub <= 3 and storage == 0, stage.hub.requests()
    assert not stage.hub.requests("POST", "/commit/") and not stage.hub.requests("POST", "objects/batch")
    assert second["commit"] == first["commit"]
    assert second["uploaded"] == [] and sorted(second["unchanged"]) == FILES


def test_only_what_changed_is_sent(stage):
    folder = stage.adapter()
    push(stage, folder)
    (folder / "README.md").write_text((folder / "README.md").read_text() + "\nMore.\n")
    stage.hub.clear_log()
    answer = push(stage, folder)
    assert answer["uploaded"] == ["README.md"] and len(answer["unchanged"]) == 2
    assert stage.counts()[1] == 0
    [request] = stage.hub.requests("POST", "/commit/")
    lines = [json.loads(line) for line in request.body.splitlines()]
    assert [line["key"] for line in lines] == ["header", "file"]
    assert stage.stored("ann/a") == content(folder)


def test_changed_weights_of_the_same_size_are_sent(stage):
    folder = stage.adapter(seed=1)
    push(stage, folder)
    stage.adapter(seed=2)
    assert push(stage, folder)["uploaded"] == ["adapter_model.safetensors"]
    assert stage.stored("ann/a") == content(folder)


def test_the_commit_names_its_parent_and_message(stage):
    folder = stage.adapter()
    stage.hub.world.create("ann/a")
    before = stage.hub.repo("ann/a").head().oid
    push(stage, folder, "ann/a", "--commit-message", "A title", "--commit-description", "Line one\nand two")
    [request] = stage.hub.requests("POST", "/commit/")
    header = json.loads(request.body.splitlines()[0])["value"]
    assert (header["summary"], header["description"], header["parentCommit"]) == ("A title", "Line one\nand two", before)
    head = stage.hub.repo("ann/a").head()
    assert (head.title, head.description, head.parents) == ("A title", "Line one\nand two", [before])


@pytest.mark.parametrize("client", ["python", "javascript"])
def test_real_clients_download_what_was_pushed(stage, client):
    folder = stage.adapter()
    make_adapter(folder / "second", seed=5, card=False)
    push(stage, folder)
    if client == "python":
        same_content(stage.snapshot("ann/a"), content(folder))
    else:
        same_content(javascript(stage, "snapshot", "ann/a", "main", stage.cache), content(folder))


def test_text_for_people_is_one_line_each(stage):
    done = stage.ferrule("push", stage.adapter(), "ann/a")
    assert "/ann/a" in done.out and "\r" not in done.out + done.err and "\x1b" not in done.out + done.err


# --- what goes and what stays


def fill(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text)


STATE = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_3.pth", "training_args.bin", "trainer_state.json",
         "pytorch_model_fsdp.bin", "optimizer.bin", "global_step12/mp_rank_00_model_states.pt", "optimizer_0/__0_0.distcp",
         "second/optimizer.pt")
HIDDEN = (".env", ".gitignore", "second/.secrets", ".ssh/id_rsa", ".aws/credentials.json")
TEMPORARY = (".git/config", ".cache/huggingface/x.metadata", "second/.cache/y", "x.lock")
OTHER = ("data.csv", "model.safetensors", "second/eval/results.json", "wandb/run-1/files/summary.json", "modeling.py")


def full_folder(stage):
    """An adapter with all that may be beside one, and what of it is to be sent."""
    folder = stage.adapter()
    make_adapter(folder / "second", seed=5, card=False)
    wanted = content(folder) | {"notes.txt": b"note\n", "tokenizer.json": b"{}" * 1_000_000, "tokenizer.model": b"\1" * 9,
                                "LICENSE": b"free", "config.json": b"{}", "second/chat_template.jinja": b"{{ x }}",
                                "1_Dense/config.json": b"{}", "1_Dense/model.safetensors": b"weights",
                                "tokenizer/vocab.json": b"{}"}
    fill(folder, {path: text for path, text in wanted.items() if not (folder / path).exists()})
    fill(folder, {path: path.encode() for path in (*STATE, *HIDDEN, *TEMPORARY, *OTHER)})
    return folder, wanted


def test_adapters_cards_tokenizers_and_configuration_go(stage):
    folder, wanted = full_folder(stage)
    answer = push(stage, folder)
    assert stage.stored("ann/a") == wanted
    assert answer["selected"] == sorted(wanted) and answer["dry_run"] is False
    left = {one["path"]: one["why"] for one in answer["left_behind"]}
    assert {path for path, why in left.items() if why == "training state"} == set(STATE)
    assert {path for path, why in left.items() if why == "hidden"} == {
        ".env", ".gitignore", "second/.secrets", ".ssh/", ".aws/"}
    assert {path for path, why in left.items() if why == "temporary"} == {".git/", ".cache/", "second/.cache/", "x.lock"}
    assert {path for path, why in left.items() if why == "not part of an adapter"} == set(OTHER)


def test_all_sends_what_is_neither_hidden_nor_temporary(stage):
    folder, wanted = full_folder(stage)
    push(stage, folder, "ann/a", "--all", "--exclude", "*.csv")
    assert sorted(stage.stored("ann/a")) == sorted(wanted.keys() | {*STATE, *OTHER} - {"data.csv"})


@pytest.mark.parametrize("pattern, also", [
    (".env", {".env"}),
    (".*", {".env", ".gitignore", "second/.secrets"}),
    ("*", {*STATE, *OTHER}),
    ("?env", set()),
    ("second/.secrets", {"second/.secrets"}),
    ("*/.secrets", {"second/.secrets"}),
    ("id_rsa", set()),
    (".ssh/*", {".ssh/id_rsa"}),
    ("*/id_rsa", set()),
    (".git/config", set()),
    ("*.csv", {"data.csv"}),
    ("second/eval", {"second/eval/results.json"}),
    ("wandb/", {"wandb/run-1/files/summary.json"}),
    ("optimizer.pt", {"optimizer.pt", "second/optimizer.pt"}),
])
def test_an_include_adds_files_and_hidden_ones_only_by_their_dot(stage, pattern, also):
    folder, wanted = full_folder(stage)
    answer = push(stage, folder, "ann/a", "--include", pattern, "--dry-run")
    assert set(answer["selected"]) == wanted.keys() | also


def test_an_exclude_wins(stage):
    folder, wanted = full_folder(stage)
    answer = push(stage, folder, "ann/a", "--exclude", "second", "--exclude", "token*", "--include", "tokenizer.json", "--dry-run")
    assert set(answer["selected"]) == {path for path in wanted if not path.startswith(("second/", "token"))}
    assert {"path": "tokenizer.json", "why": "excluded"} in answer["left_behind"]


def test_a_dry_run_makes_no_request(stage):
    folder = stage.adapter()
    (folder / ".env").write_text("TOKEN=1")
    (folder / "optimizer.pt").write_text("x")
    answer = push(stage, folder, "ann/a", "--dry-run")
    assert stage.hub.requests() == []
    assert answer["dry_run"] is True and answer["selected"] == FILES
    assert answer["uploaded"] == answer["unchanged"] == [] and answer["commit"] == ""
    said = stage.ferrule("push", folder, "ann/a", "--dry-run")
    assert said.out.splitlines()[:3] == FILES and "left behind: .env (hidden)" in said.err


def test_a_wrong_path_is_not_found_without_a_request(stage):
    for destination in ("ann/a", "s3://bucket/a"):
        refusal = stage.ferrule("push", stage.folder / "nowhere", destination, "--json", code=3).json["error"]
        assert refusal["kind"] == "system" and "no such file" in refusal["message"]
    assert stage.hub.requests() == []


def test_names_are_sent_as_they_are(stage):
    folder = stage.adapter()
    for name in ("a b.txt", "ünï.txt", "100%.txt", "q?&#.txt", "+plus.txt"):
        (folder / name).write_text(name)
    (folder / "empty.txt").write_text("")
    push(stage, folder)
    assert stage.stored("ann/a") == content(folder)
    same_content(stage.snapshot("ann/a"), content(folder))


def test_multipart_upload(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 70_000
    folder = stage.adapter(hidden=1024)
    push(stage, folder)
    size = (folder / "adapter_model.safetensors").stat().st_size
    assert len(stage.hub.requests("PUT", "/multipart/")) == -(-size // 70_000)
    assert len(stage.hub.requests("POST", "/complete/")) == 1 and stage.stored("ann/a") == content(folder)


def test_more_than_ninety_nine_parts_keep_their_order(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 1000, 1000
    folder = stage.adapter(hidden=1024)
    push(stage, folder)
    assert len(stage.hub.requests("PUT", "/multipart/")) > 99 and stage.stored("ann/a") == content(folder)


@pytest.mark.parametrize("header", [True, False])
def test_verify_is_called_with_the_header_it_was_given(stage, header):
    stage.hub.verify_header = header
    push(stage, stage.adapter())
    [request] = stage.hub.requests("POST", "objects/verify")
    assert request.headers["Authorization"].split()[0] == ("Basic" if header else "Bearer")


def test_many_files_go_in_batches_that_the_hub_takes(stage):
    folder = stage.adapter()
    for number in range(300):
        (folder / f"eval_{number:03d}.txt").write_text(str(number))
    push(stage, folder)
    assert sum(r.status == 200 for r in stage.hub.requests("POST", "/preupload/")) == 2
    assert stage.stored("ann/a") == content(folder)


def test_an_object_the_repository_has_is_not_sent_again(stage):
    folder = stage.adapter()
    push(stage, folder)
    shutil.copy(folder / "adapter_model.safetensors", folder / "copy.safetensors")
    stage.hub.clear_log()
    push(stage, folder, "ann/a", "--include", "copy.safetensors")
    assert not stage.hub.requests("PUT") and stage.stored("ann/a") == content(folder)


# --- where to


def test_a_branch_is_made_if_missing(stage):
    folder = stage.adapter()
    push(stage, folder, "ann/a", "--revision", "v1/x")
    assert stage.stored("ann/a", "v1/x") == content(folder) and stage.stored("ann/a") == {}
    stage.adapter(seed=2)
    assert push(stage, folder, "ann/a", "--revision", "v1/x")["revision"] == "v1/x"
    assert stage.stored("ann/a", "v1/x") == content(folder)


def test_private(stage):
    folder = stage.adapter()
    push(stage, folder, "ann/a", "--private")
    assert stage.hub.repo("ann/a").private
    push(stage, folder, "ann/a", "--private")


def test_private_onto_a_public_repository_is_refused(stage):
    stage.hub.world.create("ann/a")
    error = refused(stage, stage.adapter(), "ann/a", "--private", code=3)
    assert "public" in error["message"] and stage.stored("ann/a") == {}
    assert not stage.hub.requests("PUT") and not stage.hub.requests("POST", "preupload|commit|batch")
    push(stage, stage.adapter(), "ann/a", "--private", "--allow-public")
    assert stage.stored("ann/a") and not stage.hub.repo("ann/a").private


def test_an_organisation(stage):
    stage.hub.world.add_org("acme", ann="write")
    folder = stage.adapter()
    push(stage, folder, "acme/a")
    assert stage.stored("acme/a") == content(folder)


def test_an_existing_repository_may_be_written_with_a_token_that_may_not_create(stage):
    stage.hub.world.create("ann/a")
    token = stage.hub.world.add_token("ann", "fineGrained", ["ann/a"])
    folder = stage.adapter()
    push(stage, folder, HF_TOKEN=token)
    assert stage.stored("ann/a") == content(folder)


def test_a_pull_request(stage):
    folder = stage.adapter()
    push(stage, folder)
    stage.adapter(seed=2)
    answer = push(stage, folder, "ann/a", "--create-pr")
    assert answer["pr_url"].endswith("/ann/a/discussions/1")
    assert stage.stored("ann/a", "refs/pr/1") == content(folder) != stage.stored("ann/a")


def test_a_pull_request_to_somebody_elses_repository(stage):
    stage.hub.world.add_user("bob")
    stage.hub.world.create("bob/a")
    folder = stage.adapter()
    answer = push(stage, folder, "bob/a", "--create-pr")
    assert answer["pr_url"].endswith("/bob/a/discussions/1") and stage.stored("bob/a") == {}
    assert stage.stored("bob/a", "refs/pr/1") == content(folder)


def test_an_unchanged_pull_request_is_not_opened(stage):
    folder = stage.adapter()
    first = push(stage, folder)
    answer = push(stage, folder, "ann/a", "--create-pr")
    assert answer["pr_url"] is None and answer["commit"] == first["commit"]
    assert stage.hub.repo("ann/a").discussions == {}


def test_a_push_to_an_open_pull_request(stage):
    folder = stage.adapter()
    push(stage, folder)
    stage.adapter(seed=2)
    push(stage, folder, "ann/a", "--create-pr")
    stage.adapter(seed=3)
    push(stage, folder, "ann/a", "--revision", "refs/pr/1")
    assert stage.stored("ann/a", "refs/pr/1") == content(folder)
    assert len(stage.hub.repo("ann/a").discussions) == 1


# --- what is refused before a request


def without_weights(folder):
    (folder / "adapter_model.safetensors").unlink()


def cut_weights(folder):
    data = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(data[:-10])


def no_adapter(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("x")


def broken_config(folder):
    (folder / "adapter_config.json").write_text("{")


def broken_second(folder):
    make_adapter(folder / "second", card=False)
    cut_weights(folder / "second")


def card_of_a_path(folder):
    (folder / "README.md").write_text("---\nbase_model: /home/ann/model\nlibrary_name: peft\n---\n")


def card_no_yaml(folder):
    (folder / "README.md").write_text("---\nbase_model: [\n---\n")


@pytest.mark.parametrize("spoil", [without_weights, cut_weights, no_adapter, broken_config, broken_second, card_of_a_path, card_no_yaml])
def test_what_is_no_good_adapter_is_refused_before_any_request(stage, spoil):
    folder = stage.adapter()
    spoil(folder)
    refused(stage, folder, "ann/a", code=1)
    assert stage.hub.requests() == []


@pytest.mark.parametrize("repo_id", ["", "a/b/c", "ann/--x", "ann/a..b", "-a/b", "ann/a.git", "ann/" + "x" * 97, "ann/a b", "ann/", "/a", "ann/ü"])
def test_a_bad_repository_id_is_a_usage_error(stage, repo_id):
    stage.ferrule("push", stage.adapter(), repo_id, code=2)
    assert stage.hub.requests() == []


def test_a_folder_that_is_missing(stage):
    stage.ferrule("push", stage.folder / "nowhere", "ann/a", code=3)
    assert stage.hub.requests() == []


# --- what the Hub refuses


@pytest.mark.parametrize("token, words", [("hf_wrong", "oken"), (None, "oken"), ("read", "")])
def test_the_token_is_wrong_missing_or_may_only_read(stage, token, words):
    token = stage.hub.world.add_token("ann", "read") if token == "read" else token
    error = refused(stage, stage.adapter(), "ann/a", code=3, HF_TOKEN=token)
    assert error["status"] in (401, 403, None, 0) and words in error["message"] and error["kind"]
    assert ("ann/a" in error["message"]) or words
    assert not stage.hub.world.lookup("model", "ann/a")


def test_no_rights_in_the_namespace(stage):
    stage.hub.world.add_user("bob")
    error = refused(stage, stage.adapter(), "bob/a", code=3)
    assert error["status"] == 403 and error["request_id"] and "namespace" in error["message"]


def test_the_hub_finds_fault_with_the_card_before_any_upload(stage):
    folder = stage.adapter()
    (folder / "README.md").write_text("---\nlibrary_name: peft\nlicense: {a: 1}\n---\n# x\n")
    error = refused(stage, folder, "ann/a", code=None)
    assert "license" in error["message"]
    assert not stage.hub.requests("PUT") and not stage.hub.requests("POST", "/commit/")


def test_an_object_that_the_hub_refuses_is_named(stage):
    import hashlib

    folder = stage.adapter()
    oid = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
    stage.hub.lfs_refusals[oid] = {"code": 422, "message": "storage quota exceeded"}
    error = refused(stage, folder, "ann/a", code=3)
    assert "storage quota exceeded" in error["message"] and "adapter_model.safetensors" in error["message"]


# --- the hub client in a process of its own: what it says about itself


def test_requests_carry_a_user_agent_and_no_token_goes_to_storage(stage):
    push(stage, stage.adapter())
    for request in stage.hub.requests():
        assert request.headers.get("User-Agent", "").startswith("ferrule/") or request.origin == "storage"
        assert (request.origin == "hub") == ("Authorization" in request.headers) or "verify" in request.target
        assert "Expect" not in request.headers and "chunked" not in request.headers.get("Transfer-Encoding", "")
