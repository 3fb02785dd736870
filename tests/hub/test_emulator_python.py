# SPDX-License-Identifier: Apache-2.0
"""The emulator under huggingface_hub 2.4.0: it must look like the Hub to the client most adapters come from."""
import pathlib

import pytest
from adapters import content
from conftest import same_content

API = "from huggingface_hub import HfApi, hf_hub_download, snapshot_download, errors\napi = HfApi()\n"


def test_upload_folder_and_snapshot_by_lfs(stage):
    folder = stage.adapter(card=True)
    (folder / "second").mkdir()
    (folder / "second" / "x.bin").write_bytes(bytes(range(256)) * 9)
    stage.upload(folder, "ann/a")
    assert stage.hub.requests("PUT", "/lfs/", "storage")
    same_content(stage.snapshot("ann/a"), content(folder))


def test_upload_folder_and_snapshot_by_xet(xet_stage):
    stage = xet_stage
    folder = stage.adapter(hidden=2048)
    stage.upload(folder, "ann/a", HF_HUB_DISABLE_XET=None)
    assert stage.hub.requests("POST", "/cas/v1/shards") and not stage.hub.requests("POST", "objects/batch")
    same_content(stage.snapshot("ann/a", HF_HUB_DISABLE_XET=None), content(folder))
    assert stage.hub.requests("GET", "/cas/v2/reconstructions")
    assert (stage.cache / "blobs" / ".huggingface-shared-blobs").exists()


def test_xet_files_download_without_xet(xet_stage):
    stage = xet_stage
    folder = stage.adapter(hidden=2048)
    stage.upload(folder, "ann/a", HF_HUB_DISABLE_XET=None)
    same_content(stage.snapshot("ann/a"), content(folder))
    assert stage.hub.requests("GET", "/cdn/", "storage")


def test_multipart_upload(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 70_000
    folder = stage.adapter(hidden=2048)
    stage.upload(folder, "ann/a")
    size = (folder / "adapter_model.safetensors").stat().st_size
    assert len(stage.hub.requests("PUT", "/multipart/")) == -(-size // 70_000)
    assert stage.stored("ann/a") == content(folder)


def test_unchanged_upload_makes_no_commit(stage):
    folder = stage.adapter()
    first = stage.upload(folder, "ann/a")
    assert stage.upload(folder, "ann/a") == first
    assert len(stage.hub.requests("POST", "/commit/")) == 1


def test_private_repository_is_hidden(stage):
    stage.python(API + "api.create_repo('ann/p', private=True)")
    assert stage.hub.repo("ann/p").private
    bob = stage.hub.world.add_user("bob")
    for token, error in ((bob, "RepositoryNotFoundError"), ("", "RepositoryNotFoundError")):
        done = stage.python(API + "api.model_info('ann/p')", check=False, HF_TOKEN=token)
        assert error in done.err


@pytest.mark.parametrize("token, status", [("bob", "403"), ("", "401")])
def test_gated_repository(stage, token, status):
    stage.hub.world.put(stage.hub.world.create("ann/g", gated="manual"), {"adapter_config.json": b"{}"})
    bob = stage.hub.world.add_user("bob")
    done = stage.python(API + "hf_hub_download('ann/g', 'adapter_config.json')", check=False, HF_TOKEN=bob if token else "")
    assert "GatedRepoError" in done.err and status in done.err
    stage.hub.repo("ann/g").granted.add("bob")
    if token:
        stage.python(API + "print(json.dumps(hf_hub_download('ann/g', 'adapter_config.json')))", HF_TOKEN=bob)


def test_missing_revision_and_entry_are_told_apart(stage):
    stage.hub.world.create("ann/a")
    script = API + """
for kwargs in (dict(filename='x'), dict(filename='x', revision='nope')):
    try: hf_hub_download('ann/a', **kwargs)
    except Exception as e: print(type(e).__name__)
print('{}')"""
    done = stage.python(script, check=False)
    assert done.out.split() == ["RemoteEntryNotFoundError", "RevisionNotFoundError", "{}"]


def test_branch_tag_and_nested_branch(stage):
    folder = stage.adapter()
    stage.upload(folder, "ann/a")
    refs = stage.python(API + """
api.create_branch('ann/a', branch='v1/x'); api.create_branch('ann/a', branch='v1/x', exist_ok=True)
api.create_tag('ann/a', tag='t1')
api.upload_file(repo_id='ann/a', path_in_repo='notes.txt', path_or_fileobj=b'hello', revision='v1/x')
refs = api.list_repo_refs('ann/a')
print(json.dumps([[b.name for b in refs.branches], [t.name for t in refs.tags], api.list_repo_files('ann/a', revision='v1/x')]))""")
    assert refs == [["main", "v1/x"], ["t1"], [".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors", "notes.txt"]]


def test_pull_request_by_query_and_by_discussion(xet_stage):
    stage = xet_stage
    folder = stage.adapter()
    stage.upload(folder, "ann/a")
    script = API + "c = api.upload_folder(repo_id='ann/a', folder_path=args[0], create_pr=True)\nprint(json.dumps([c.pr_num, c.pr_revision]))"
    stage.adapter(seed=2)
    assert stage.python(script, folder) == [1, "refs/pr/1"]
    stage.adapter(seed=3)
    assert stage.python(script, folder, HF_HUB_DISABLE_XET=None) == [2, "refs/pr/2"]
    assert stage.hub.requests("POST", r"create_pr=1$") and stage.hub.requests("POST", "/discussions$")
    same_content(stage.snapshot("ann/a", "refs/pr/2"), content(folder))


def test_stale_parent_is_refused(stage):
    stage.upload(stage.adapter(), "ann/a")
    done = stage.python(API + """
from huggingface_hub import CommitOperationAdd as Add
old = api.model_info('ann/a').sha
api.create_commit('ann/a', [Add('a.txt', b'1')], commit_message='one', parent_commit=old)
api.create_commit('ann/a', [Add('b.txt', b'2')], commit_message='two', parent_commit=old)""", check=False)
    assert "412" in done.err and "was updated since you opened this page" in done.err
    assert "b.txt" not in stage.stored("ann/a")


@pytest.mark.parametrize("operation, word", [
    ("Add('x.txt', b'\\x00\\x01' * 9, ), ", "lfs"),
    ("Delete('nope.txt')", "404"),
    ("Add('README.md', b'---\\nbase_model: /home/me/model\\n---\\n')", "base_model"),
])
def test_what_a_commit_refuses_or_takes(stage, operation, word):
    stage.upload(stage.adapter(), "ann/a")
    stage.hub.clear_log()
    done = stage.python(API + "from huggingface_hub import CommitOperationAdd as Add, CommitOperationDelete as Delete\n"
                        f"api.create_commit('ann/a', [{operation}], commit_message='m')", check=False)
    if word == "lfs":
        assert done.code == 0 and stage.hub.repo("ann/a").files()["x.txt"].lfs
    else:
        assert done.code == 1 and word in done.err


def test_organisation_and_rights(stage):
    stage.hub.world.add_org("acme", ann="write")
    stage.python(API + "print(json.dumps(str(api.create_repo('acme/a'))))")
    done = stage.python(API + "api.create_repo('other/a')", check=False)
    assert "403" in done.err
    done = stage.python(API + "api.create_repo('ann/x')", check=False, HF_TOKEN=stage.hub.world.add_token("ann", "read"))
    assert "403" in done.err


def test_renamed_repository_is_followed(stage):
    folder = stage.adapter()
    stage.upload(folder, "ann/old")
    stage.hub.rename(stage.hub.repo("ann/old"), "ann/new")
    same_content(stage.snapshot("ann/old"), content(folder))


def test_paged_tree(stage):
    repo = stage.hub.world.create("ann/many")
    stage.hub.world.put(repo, {f"f{i:03d}.txt": str(i).encode() for i in range(25)})
    stage.hub.page_size = 7
    names = stage.python(API + "print(json.dumps(sorted(f.path for f in api.list_repo_tree('ann/many'))))")
    assert names == sorted(repo.files())


def test_command_line_upload_and_download(stage):
    folder = stage.adapter()
    hf = pathlib.Path(stage.python("print(json.dumps(sys.executable))")).parent / "hf"
    stage.run(hf, "upload", "ann/cli", folder, "--quiet", check=True)
    done = stage.run(hf, "download", "ann/cli", "--quiet", check=True)
    same_content(done.out.strip().splitlines()[-1], content(folder))
    stage.run(hf, "download", "ann/cli", "--local-dir", stage.folder / "here", check=True)
    same_content(stage.folder / "here", content(folder))
