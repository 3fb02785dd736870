# SPDX-License-Identifier: Apache-2.0
"""The emulator under the other clients of the Hub: JavaScript's, git with git-lfs, and PEFT."""
import re
import shutil

import pytest
from adapters import content
from conftest import same_content
from programs import git, javascript


@pytest.mark.parametrize("how", ["lfs", "xet"])
def test_javascript_uploads_and_downloads(xet_stage, how):
    stage = xet_stage
    folder = stage.adapter(hidden=1024)
    javascript(stage, "upload", "ann/js", folder, "main", how)
    assert bool(stage.hub.requests("POST", "/cas/v1/shards")) == (how == "xet")
    assert stage.stored("ann/js") == content(folder)
    same_content(javascript(stage, "snapshot", "ann/js", "main", stage.cache), content(folder))
    assert sorted(path for path, *_ in javascript(stage, "list", "ann/js", "main")) == sorted([".gitattributes", *content(folder)])


def test_javascript_multipart_branch_and_pull_request(stage):
    stage.hub.multipart_threshold, stage.hub.part_size = 100_000, 60_000
    folder = stage.adapter(hidden=1024)
    javascript(stage, "upload", "ann/js", folder, "dev", "lfs")
    assert len(stage.hub.requests("PUT", "/multipart/")) > 3
    assert stage.stored("ann/js", "dev") == content(folder) and stage.stored("ann/js") == {}
    done = javascript(stage, "upload", "ann/js", stage.adapter(hidden=1024, seed=2), "main", "lfs", "pr")
    assert done["pr"].endswith("/discussions/1") and stage.stored("ann/js", "refs/pr/1") == content(folder)


def test_javascript_is_told_of_a_stale_parent(stage):
    javascript(stage, "upload", "ann/js", stage.adapter(), "main", "lfs")
    assert javascript(stage, "stale", "ann/js") == 412


def test_javascript_reads_one_file(stage):
    folder = stage.adapter()
    stage.hub.world.put(stage.hub.world.create("ann/js", private=True), content(folder))
    for name, expected in content(folder).items():
        javascript(stage, "download", "ann/js", "main", name, stage.folder / "one")
        assert (stage.folder / "one").read_bytes() == expected


def test_git_clones_with_lfs(stage):
    files = {**content(stage.adapter()), "deep/er/x.txt": b"x\n", "deep-er": b"y\n"}
    stage.hub.world.put(stage.hub.world.create("ann/git", private=True), files)
    git(stage, "clone", stage.hub.url.replace("//", f"//ann:{stage.token}@") + "/ann/git", "clone", cwd=stage.folder)
    git(stage, "fsck", "--full", "--strict", cwd=stage.folder / "clone")
    shutil.rmtree(stage.folder / "clone" / ".git")
    same_content(stage.folder / "clone", files)


def test_git_lfs_uploads_objects_the_hub_can_commit(stage):
    folder = stage.adapter()
    stage.hub.world.create("ann/git")
    work = stage.folder / "work"
    git(stage, "init", "-q", work, cwd=stage.folder)
    shutil.copy(folder / "adapter_model.safetensors", work)
    git(stage, "lfs", "track", "*.safetensors", cwd=work)
    git(stage, "add", ".", cwd=work)
    url = stage.hub.url.replace("//", f"//ann:{stage.token}@") + "/ann/git.git/info/lfs"
    oid = re.search("sha256:([0-9a-f]{64})", git(stage, "show", ":adapter_model.safetensors", cwd=work).out)[1]
    git(stage, "-c", f"lfs.url={url}", "-c", "lfs.locksverify=false", "lfs", "push", "--object-id", url.removesuffix(".git/info/lfs"), oid, cwd=work)
    assert oid in stage.hub.repo("ann/git").objects
    assert [r.headers["Authorization"].split()[0] for r in stage.hub.requests("POST", "objects/verify")] == ["Basic"]


PEFT = """
import torch, transformers, warnings
from peft import LoraConfig, PeftModel, get_peft_model
warnings.filterwarnings("ignore")
transformers.logging.set_verbosity_error()
torch.manual_seed(0)
base = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2))
"""


def test_peft_pushes_and_loads(stage):
    keys = stage.python(PEFT + """
model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=False))
model.push_to_hub("ann/peft")
base = base.__class__(base.config)
loaded = PeftModel.from_pretrained(base, "ann/peft")
one, two = model.state_dict(), loaded.state_dict()
print(json.dumps([k for k in one if "lora" in k and torch.equal(one[k], two[k])]))""")
    assert len(keys) == 2
    assert sorted(stage.stored("ann/peft")) == ["README.md", "adapter_config.json", "adapter_model.safetensors"]
