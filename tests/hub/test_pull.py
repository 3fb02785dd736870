# SPDX-License-Identifier: Apache-2.0
"""ferrule pull, with a Hub that behaves."""
import os
import pathlib

import pytest
from adapters import content, make_adapter
from conftest import same_content
from programs import javascript

def host(stage, repo_id="ann/a", files=None, **options):
    """A repository with an adapter's files: {path: bytes}."""
    files = files or content(stage.adapter())
    repo = stage.hub.world.create(repo_id, **options)
    stage.hub.world.put(repo, files)
    return files


def pull(stage, *arguments, **more):
    return stage.ferrule("pull", *arguments, "--json", **more).json


# --- the main road


def test_a_cold_pull_takes_eight_requests(stage):
    files = host(stage)
    answer = pull(stage, "ann/a")
    assert sum(stage.counts()) <= 8, stage.hub.requests()
    head = stage.hub.repo("ann/a").head().oid
    assert (answer["repo"], answer["revision"], answer["commit"]) == ("ann/a", "main", head)
    assert pathlib.Path(answer["path"]) == stage.cache / "models--ann--a" / "snapshots" / head
    same_content(answer["path"], files)
    stage.ferrule("verify", answer["path"])


def test_a_warm_pull_fetches_nothing(stage):
    host(stage)
    first = pull(stage, "ann/a")
    stage.hub.clear_log()
    assert pull(stage, "ann/a")["path"] == first["path"]
    hub, storage = stage.counts()
    assert hub <= 2 and storage == 0, stage.hub.requests()


def test_a_full_commit_id_in_the_cache_needs_no_request(stage):
    host(stage)
    commit = pull(stage, "ann/a")["commit"]
    stage.hub.clear_log()
    pull(stage, "ann/a", "--revision", commit)
    assert stage.counts() == (0, 0)


@pytest.mark.parametrize("client", ["python", "python-xet", "javascript", "hf"])
def test_what_real_clients_pushed_is_pulled(xet_stage, client):
    stage = xet_stage
    folder = stage.adapter(hidden=512)
    make_adapter(folder / "second", seed=3, card=False)
    if client == "javascript":
        javascript(stage, "upload", "ann/a", folder, "main", "lfs")
    elif client == "hf":
        stage.run(pathlib.Path(os.sys.executable).parent / "hf", "upload", "ann/a", folder, "--quiet", check=True)
    else:
        stage.upload(folder, "ann/a", HF_HUB_DISABLE_XET=None if client == "python-xet" else "1")
    same_content(pull(stage, "ann/a")["path"], content(folder))


def test_an_update_fetches_only_what_is_new(stage):
    files = host(stage)
    pull(stage, "ann/a")
    files = {**files, "README.md": b"---\nlibrary_name: peft\n---\n# New\n"}
    stage.hub.world.put(stage.hub.repo("ann/a"), {"README.md": files["README.md"]})
    stage.hub.clear_log()
    same_content(pull(stage, "ann/a")["path"], files)
    assert stage.counts()[1] == 0


def test_what_ferrule_pushed_it_pulls(stage):
    folder = stage.adapter()
    stage.ferrule("push", folder, "ann/a", "--private")
    same_content(pull(stage, "ann/a")["path"], content(folder))


# --- revisions and files


@pytest.mark.parametrize("revision", ["v1", "dev/x", "refs/pr/1"])
def test_tags_branches_and_pull_requests(stage, revision):
    files = host(stage)
    repo = stage.hub.repo("ann/a")
    repo.refs[f"refs/tags/{revision}" if revision == "v1" else revision] = repo.refs["main"]
    stage.hub.world.put(repo, {"README.md": b"# moved on\n"})
    answer = pull(stage, "ann/a", "--revision", revision)
    same_content(answer["path"], files)
    assert (stage.cache / "models--ann--a" / "refs" / revision).read_text() == answer["commit"]


def test_only_the_files_asked_for(stage):
    files = host(stage)
    answer = pull(stage, "ann/a", "adapter_config.json")
    same_content(answer["path"], {"adapter_config.json": files["adapter_config.json"]})
    assert stage.counts()[1] == 0


def test_a_file_that_the_repository_has_not(stage):
    host(stage)
    error = stage.ferrule("pull", "ann/a", "nope.txt", "--json", code=3).json["error"]
    assert "nope.txt" in error["message"]


def test_odd_names(stage):
    files = host(stage, files={"a b.txt": b"1", "ünï/ö.txt": b"2", "100%.txt": b"3", "q?&#.txt": b"4", "+plus.txt": b"5", "empty.txt": b"",
                               "deep/er/est/x.bin": b"\0" * 100})
    same_content(pull(stage, "ann/a")["path"], files)
    same_content(pull(stage, "ann/a", "-o", stage.folder / "out")["path"], files)


def test_a_paged_listing(stage):
    stage.hub.page_size = 7
    files = host(stage, files={f"f{i:02d}.txt": str(i).encode() for i in range(30)})
    same_content(pull(stage, "ann/a")["path"], files)


def test_a_renamed_repository(stage):
    files = host(stage, "ann/old")
    stage.hub.rename(stage.hub.repo("ann/old"), "ann/new")
    same_content(pull(stage, "ann/old")["path"], files)


def test_an_anonymous_pull_of_a_public_repository(stage):
    files = host(stage)
    same_content(pull(stage, "ann/a", HF_TOKEN=None)["path"], files)
    assert not any("Authorization" in r.headers for r in stage.hub.requests())


@pytest.mark.parametrize("mode", ["weak", "direct", "gzip"])
def test_ways_in_which_hubs_differ(stage, mode):
    stage.hub.weak_etags, stage.hub.resolve_cache, stage.hub.gzip_content = mode == "weak", mode != "direct", mode == "gzip"
    files = host(stage)
    same_content(pull(stage, "ann/a")["path"], files)
    assert all('W' not in p.name and '"' not in p.name for p in (stage.cache / "models--ann--a" / "blobs").iterdir())


# --- into a folder


def test_into_a_folder(stage):
    files = host(stage)
    answer = pull(stage, "ann/a", "-o", stage.folder / "out")
    assert pathlib.Path(answer["path"]) == stage.folder / "out"
    same_content(stage.folder / "out", files)
    assert not any(p.is_symlink() for p in (stage.folder / "out").rglob("*"))


def test_into_a_folder_that_has_an_older_one(stage):
    files = host(stage)
    make_adapter(stage.folder / "out", seed=9)
    pull(stage, "ann/a", "-o", stage.folder / "out")
    same_content(stage.folder / "out", files)


def test_a_failed_pull_leaves_the_folder_as_it_was(stage):
    from emulator import faults

    host(stage)
    before = content(make_adapter(stage.folder / "out", seed=9))
    stage.hub.faults.add("GET", "/cdn/", faults.status(404), times=None)
    stage.ferrule("pull", "ann/a", "-o", stage.folder / "out", code=3)
    same_content(stage.folder / "out", before)
    stage.ferrule("pull", "ann/a", "-o", stage.folder / "fresh", code=3)
    assert not (stage.folder / "fresh").exists() or content(stage.folder / "fresh") == {}


@pytest.mark.parametrize("planted", ["file", "folder"])
def test_nothing_is_written_through_a_planted_link(stage, planted):
    files = host(stage, files={**content(stage.adapter()), "sub/x.txt": b"x"})
    out, victim = stage.folder / "out", stage.folder / "victim"
    out.mkdir()
    victim.mkdir()
    (victim / "x.txt").write_text("precious")
    if planted == "file":
        (out / "README.md").symlink_to(victim / "x.txt")
    else:
        (out / "sub").symlink_to(victim)
    stage.ferrule("pull", "ann/a", "-o", out, code=None)
    assert {p.name: p.read_text() for p in victim.iterdir()} == {"x.txt": "precious"}
    if not (out / "sub").is_symlink():
        same_content(out, files)


# --- what the Hub refuses, told apart


def test_missing_gated_and_authentication_are_told_apart(stage):
    host(stage)
    host(stage, "bob/gated", gated="manual")
    cases = {
        "missing": ("ann/nope", {}, 404, "ann/nope"),
        "gated": ("bob/gated", {}, 403, "access"),
        "token": ("ann/a", {"HF_TOKEN": "hf_wrong"}, 401, "oken"),
        "revision": ("ann/a --revision nope", {}, 404, "nope"),
    }
    kinds = {}
    for name, (arguments, env, status, word) in cases.items():
        error = stage.ferrule("pull", *arguments.split(), "--json", code=3, **env).json["error"]
        assert error["status"] == status and word in error["message"], (name, error)
        assert error["request_id"]
        kinds[name] = error["kind"]
    assert len(set(kinds.values())) == len(kinds), kinds


def test_a_private_repository_looks_missing(stage):
    host(stage, private=True)
    stage.hub.world.add_user("bob")
    error = stage.ferrule("pull", "ann/a", "--json", code=3, HF_TOKEN=None).json["error"]
    assert error["status"] == 401 and "private" in error["message"]


def test_usage(stage):
    for arguments in ([], ["a/b/c"], ["ann/a", "--nope"], ["ann/a", "-o", "x", "--cache-dir", "y", "--frob"]):
        stage.ferrule("pull", *arguments, code=2)
    assert stage.hub.requests() == []


# --- hf:// paths of other commands


def test_inspect_reads_headers_by_ranges(stage):
    folder = stage.adapter(layers=8, hidden=4096)
    stage.hub.world.put(stage.hub.world.create("ann/big"), content(folder))
    local = stage.ferrule("inspect", folder, "--json").json
    remote = stage.ferrule("inspect", "hf://ann/big", "--json").json
    assert remote["modules"] == local["modules"] and remote["peft_type"] == "LORA"
    sent = sum(r.sent for r in stage.hub.requests())
    assert sent < (folder / "adapter_model.safetensors").stat().st_size / 4


def test_verify_of_a_hub_path(stage):
    host(stage)
    stage.ferrule("verify", "hf://ann/a")
    stage.ferrule("verify", "hf://ann/a@main")


def test_a_subfolder_and_a_revision_of_a_hub_path(stage):
    folder = stage.adapter()
    make_adapter(folder / "second", seed=4, rank=4, card=False)
    repo = stage.hub.world.create("ann/a")
    stage.hub.world.put(repo, content(folder))
    repo.refs["v/2"] = repo.refs["main"]
    answer = stage.ferrule("inspect", "hf://ann/a@v%2F2/second", "--json").json
    assert answer["rank"] in (4, [4]) or "4" in str(answer["rank"])
    stage.ferrule("verify", "hf://ann/a/second")


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_hub_path_is_resolved_once(stage, command):
    """`inspect` reads the weights by ranges, `verify` pulls them."""
    host(stage, files=content(stage.adapter(layers=8, hidden=4096)))
    stage.ferrule(command, "hf://ann/a")
    assert len(stage.hub.requests("GET", "/revision/")) == 1, stage.hub.requests()
    assert len(stage.hub.requests("GET", "/tree/")) == 1, stage.hub.requests()


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_hub_path_stays_at_its_commit_when_the_branch_moves(stage, command):
    folder = stage.adapter(layers=8, hidden=4096)
    files = host(stage, files=content(folder))
    stage.hub.clear_log()
    first = stage.hub.repo("ann/a").head().oid

    def move(exchange):
        answer = exchange.answer()
        stage.hub.world.put(stage.hub.repo("ann/a"), {"adapter_config.json": b"{}"})
        exchange.send(answer)

    stage.hub.faults.add("GET", "/tree/", move)
    done = stage.ferrule(command, "hf://ann/a", "--json")
    assert stage.hub.repo("ann/a").head().oid != first
    if command == "inspect":
        assert done.json["modules"] == stage.ferrule("inspect", folder, "--json").json["modules"]
    fetched = [r.target for r in stage.hub.requests("GET", "/resolve/|/resolve-cache/")]
    assert fetched and all(first in target for target in fetched), fetched
    snapshot = stage.cache / "models--ann--a" / "snapshots"
    assert [p.name for p in snapshot.iterdir()] == [first]
    assert (snapshot / first / "adapter_config.json").read_bytes() == files["adapter_config.json"]


def test_ranges_are_asked_for_again_after_a_failure(stage):
    from emulator import faults

    host(stage, files=content(stage.adapter(layers=8, hidden=4096)))
    stage.hub.faults.add("GET", "/cdn/", faults.status(503), times=2)
    stage.ferrule("inspect", "hf://ann/a")
    stage.hub.faults.add("GET", "/cdn/", faults.reset())
    stage.ferrule("inspect", "hf://ann/a")


def test_weights_whose_header_cannot_be_read_are_pulled_and_judged(stage):
    files = content(stage.adapter(layers=8, hidden=4096))
    weights = files["adapter_model.safetensors"]
    host(stage, files={**files, "adapter_model.safetensors": (1 << 60).to_bytes(8, "little") + weights[8:]})
    done = stage.ferrule("inspect", "hf://ann/a", code=1)
    assert "ST-2" in done.out + done.err


def test_offline_a_hub_path_needs_its_own_folder_only(stage):
    folder = stage.adapter()
    make_adapter(folder / "second", seed=4, rank=4, card=False)
    host(stage, files=content(folder))
    stage.ferrule("verify", "hf://ann/a/second")
    stage.hub.clear_log()
    stage.ferrule("verify", "hf://ann/a/second", HF_HUB_OFFLINE=1)
    assert stage.hub.requests() == []


def test_a_bad_adapter_on_the_hub_fails_verify(stage):
    files = content(stage.adapter())
    host(stage, files={**files, "adapter_model.safetensors": files["adapter_model.safetensors"][:-8]})
    stage.ferrule("verify", "hf://ann/a", code=1)
    stage.ferrule("verify", "hf://ann/nope", code=3)
