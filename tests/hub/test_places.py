# SPDX-License-Identifier: Apache-2.0
"""Commands that read an ADAPTER or a base: repositories of the Hub, hf:// and s3:// addresses, the Hub's cache."""
import json
import os
import pickle
import shutil

import numpy
import pytest
from adapters import content, make_adapter
from s3 import ObjectStore
from safetensors.numpy import save_file
from test_pull import host

MODULES = [f"model.layers.{layer}.self_attn.{name}" for layer in (0, 1) for name in ("q_proj", "v_proj")]


def make_base(folder, hidden=64, shards=1):
    """A Llama as transformers saves it, as far as an adapter of adapters.py looks."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["Other"], "model_type": "other"}))
    tensors = {f"{module}.weight": numpy.zeros((hidden, hidden), numpy.float32) for module in MODULES}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    index = {}
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        part = {key: tensors[key] for key in list(tensors)[number::shards]}
        save_file(part, folder / name)
        index.update(dict.fromkeys(part, name))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def host_base(stage, **options):
    files = content(make_base(stage.folder / "base", **options))
    # What a program that wants headers alone has no use for.
    return host(stage, "acme/base", {**files, "tokenizer.json": b"{}" * 50_000})


READERS = {
    "explain": ("explain", "{}"),
    "id": ("id", "{}"),
    "diff": ("diff", "{}", "local"),
    "check": ("check", "{}", "--base", "base"),
    "verify": ("verify", "{}"),
    "convert": ("convert", "{}", "-o", "out"),
    "normalize": ("normalize", "{}", "-o", "out"),
    "fix": ("fix", "{}", "-o", "out"),
    "resize": ("resize", "{}", "-o", "out", "--rank", "2"),
    "combine": ("combine", "{}", "local", "-o", "out", "--method", "cat"),
    "to-lora": ("to-lora", "{}", "-o", "out", "--rank", "2"),
    "state-dict": ("state-dict", "{}", "-o", "out.safetensors"),
    "inspect": ("inspect", "{}"),
    "merge": ("merge", "{}", "--base", "base", "-o", "out"),
    "unmerge": ("unmerge", "{}", "--base", "base", "-o", "out"),
}
#: Copies all files, of which the Hub adds one.
PUBLISH = ("publish", "{}", "out")


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("address", ["ann/a", "hf://ann/a"])
def test_an_adapter_of_the_hub_is_read_as_one_on_disk(stage, command, address):
    host(stage, files=content(stage.adapter("local")))
    make_base(stage.folder / "base")
    words = READERS[command]
    local = stage.ferrule(*[word.format("local") for word in words], "--json").json
    saved = content(stage.folder / "out") if "out" in words else {}
    if saved:  # The Hub adds .gitattributes.
        local = json.loads(json.dumps(local).replace('"README.md"', '".gitattributes", "README.md"'))
    shutil.rmtree(stage.folder / "out", ignore_errors=True)
    remote = stage.ferrule(*[word.format(address) for word in words], "--json").json
    if command == "inspect":  # Its path is where the files are.
        remote["path"] = "local"
    assert json.loads(json.dumps(remote).replace(address, "local")) == local
    if saved:
        written = content(stage.folder / "out")
        assert {path: written[path] for path in saved} == saved


def test_an_adapter_of_an_object_store_is_read_as_one_on_disk(stage):
    store = ObjectStore(strict=False)
    try:
        stage.ferrule("push", stage.adapter("local"), "s3://adapters/a", **store.env())
        make_base(stage.folder / "base")
        for words in (*READERS.values(), PUBLISH):
            told = []
            for place in ("local", "s3://adapters/a"):
                shutil.rmtree(stage.folder / "out", ignore_errors=True)
                done = stage.ferrule(*[word.format(place) for word in words], "--json", **store.env()).json
                if words[0] == "inspect":
                    done["path"] = "local"
                told.append(json.loads(json.dumps(done).replace(place, "local")))
            assert told[0] == told[1], words
        answer = stage.ferrule("scan", "s3://adapters/a", "--json", **store.env()).json
        assert answer["good"] and {file["path"] for file in answer["files"]} >= {"s3://adapters/a/adapter_config.json"}
    finally:
        store.stop()


def test_a_path_that_exists_is_never_asked_of_the_hub(stage):
    make_adapter(stage.folder / "ann" / "a")
    stage.ferrule("id", "ann/a")
    stage.ferrule("id", "ann/b", code=3)  # The folder "ann" shows that a path was meant.
    stage.ferrule("id", "./bob/b", code=3)
    stage.ferrule("id", "bob", code=3)
    assert stage.hub.requests() == []


def test_a_path_that_nothing_has_is_one_error_about_both(stage):
    done = stage.ferrule("explain", "bob/b", "--json", code=3)
    assert done.json["error"]["code"] == "not_found" and done.json["error"]["path"] == "bob/b"
    assert "no such file or directory" in done.err and "HB-5" in done.err
    stage.hub.clear_log()
    done = stage.ferrule("explain", "bob/b", code=3, HF_HUB_OFFLINE=1)
    assert "HB-2" in done.err and stage.hub.requests() == []


def test_scan_looks_before_anything_is_in_the_cache(stage):
    class Evil:
        def __reduce__(self):
            return os.getcwd, ()

    host(stage, files={**content(stage.adapter()), "notes.pkl": pickle.dumps(Evil())})
    for address in ("ann/a", "hf://ann/a"):
        done = stage.ferrule("scan", address, "--json", code=1).json
        found = {file["path"]: file["severity"] for file in done["files"]}
        assert found[f"{address}/notes.pkl"] == "dangerous" and found[f"{address}/adapter_config.json"] is None
    assert not stage.cache.exists()
    assert not [name for name in os.listdir("/tmp") if name.startswith(".ferrule-")
                and os.path.exists(f"/tmp/{name}/cache/models--ann--a")]
    stage.ferrule("scan", "hf://ann/nope", code=3)


@pytest.mark.parametrize("shards", [1, 2])
def test_check_finds_the_base_that_the_config_names(stage, shards):
    stage.adapter()
    host_base(stage, shards=shards, hidden=64)
    expected = stage.ferrule("check", "adapter", "--base", "base", "--json").json
    assert expected["modules"] == {"matched": 4, "total": 4}
    assert stage.ferrule("check", "adapter", "--json").json == expected
    fetched = [r.target for r in stage.hub.requests("GET", "/resolve/|/resolve-cache/|/cdn/")]
    assert fetched and not [target for target in fetched if "tokenizer" in target], fetched
    for base in ("acme/base", "hf://acme/base", "hf://acme/base@main"):
        assert stage.ferrule("check", "adapter", "--base", base, "--json").json == expected
    # Headers alone are no checkpoint, and are not left for one.
    assert not list(stage.cache.rglob("*.safetensors"))


def test_check_finds_the_base_in_the_cache_without_a_request(stage):
    stage.adapter()
    host_base(stage)
    expected = stage.ferrule("check", "adapter", "--base", "base", "--json").json
    snapshot = stage.snapshot("acme/base")
    (snapshot / "tokenizer.json").unlink()  # Nothing else needs to be whole.
    stage.hub.clear_log()
    for more in ({}, {"HF_HUB_OFFLINE": 1}):
        assert stage.ferrule("check", "adapter", "--json", **more).json == expected
        assert stage.ferrule("check", "adapter", "--base", "acme/base", "--json", **more).json == expected
    assert stage.ferrule("check", "adapter", "--offline", "--json").json == expected
    assert stage.hub.requests() == []


def test_check_offline_asks_nobody(stage):
    stage.adapter()
    host_base(stage)
    for words, more in ((["--offline"], {}), ([], {"HF_HUB_OFFLINE": 1})):
        done = stage.ferrule("check", "adapter", *words, "--json", code=3, **more)
        assert done.json["verdict"] == "unknown" and "HB-2" in done.err
    assert stage.hub.requests() == []


def test_a_config_cannot_send_check_to_an_address(stage):
    for name in ("s3://bucket/x", "hf://acme/base", f"{stage.hub.url}/acme/base", "../../acme/base", "a/b/c"):
        stage.adapter(base_model_name_or_path=name)
        done = stage.ferrule("check", "adapter", "--json", code=3)
        assert done.json["verdict"] == "unknown" and done.json["error"]["code"] == "not_found"
    assert stage.hub.requests() == []


def test_check_without_any_base_says_so(stage):
    stage.adapter(base_model_name_or_path=None)
    done = stage.ferrule("check", "adapter", code=2)
    assert "--base" in done.err


def test_check_takes_a_base_at_the_revision_of_the_config(stage):
    host_base(stage)
    repo = stage.hub.repo("acme/base")
    repo.refs["v1"] = repo.refs["main"]
    stage.hub.world.put(repo, {"model.safetensors": content(make_base(stage.folder / "wide", hidden=128))["model.safetensors"]})
    stage.adapter(revision="v1")
    stage.ferrule("check", "adapter")
    stage.adapter(revision=None)
    stage.ferrule("check", "adapter", code=1)
