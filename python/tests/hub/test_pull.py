# SPDX-License-Identifier: Apache-2.0
"""ferrule.pull, and addresses of the Hub in place of paths."""

import inspect
import pathlib
import pickle
import socket

import ferrule
import ferrule.numpy
import huggingface_hub
import pytest
from adapters import content, make_adapter
from test_push import command


@pytest.fixture
def hosted(stage):
    """A repository to which huggingface_hub has uploaded an adapter: its files."""
    folder = make_adapter(stage.folder / "uploaded")
    api = huggingface_hub.HfApi()
    api.create_repo(stage.repo_id)
    api.upload_folder(repo_id=stage.repo_id, folder_path=folder)
    stage.hub.clear_log()
    return content(folder)


def test_what_huggingface_hub_uploaded_is_pulled(stage, hosted):
    report = ferrule.pull(stage.repo_id)
    files = content(report.path)
    assert report.files == sorted(files)
    files.pop(".gitattributes")
    assert files == hosted
    assert (report.repo, report.revision) == (stage.repo_id, "main")
    assert report.commit == stage.hub.repo(stage.repo_id).head().oid
    assert report.path == huggingface_hub.snapshot_download(stage.repo_id, local_files_only=True)
    assert dict(report) == command("pull", stage.repo_id) == {**report}
    assert report.to_dict() == {"version": 1, **report}
    assert pickle.loads(pickle.dumps(report)) == report and isinstance(report, ferrule.PullReport)
    assert str(report).endswith(f"in {report.path}") and report._repr_html_().startswith("<table>")
    report.raise_for_errors()
    with pytest.raises(AttributeError):
        report.commit = "x"


def test_some_files_into_a_folder(stage, hosted):
    target = stage.folder / "here"
    report = ferrule.pull(stage.repo_id, files=["adapter_config.json"], output=target, cache_dir=stage.folder / "cache")
    assert report.path == str(target) and report.files == ["adapter_config.json"]
    assert content(target) == {"adapter_config.json": hosted["adapter_config.json"]}
    assert (stage.folder / "cache").is_dir()
    with pytest.raises(TypeError, match="files: expected a list of str, found str"):
        ferrule.pull(stage.repo_id, files="adapter_config.json")


def test_offline_the_cache_answers(stage, hosted):
    pulled = ferrule.pull(stage.repo_id)
    stage.hub.clear_log()
    assert dict(ferrule.pull(stage.repo_id, offline=True)) == dict(pulled)
    with pytest.raises(ConnectionError) as caught:
        ferrule.pull(stage.repo_id, revision="other", offline=True)
    assert isinstance(caught.value, ferrule.NetworkError) and caught.value.kind == "offline"
    assert stage.hub.requests() == []


def test_an_address_of_the_hub_is_opened_inspected_and_verified(stage, hosted):
    address = f"hf://{stage.repo_id}"
    adapter = ferrule.open(address)
    assert adapter.config.peft_type == "LORA" and len(adapter.tensors) == 8
    assert adapter.directory.startswith(str(stage.home))
    assert ferrule.verify(address).good
    assert ferrule.inspect(address).totals.tensors == 8
    assert ferrule.open(f"{address}@{stage.hub.repo(stage.repo_id).head().oid}").config.peft_type == "LORA"
    with pytest.raises(FileNotFoundError):
        ferrule.open(f"{address}/nowhere")


READERS = {
    "explain": lambda a, out: ferrule.explain(a),
    "content_id": lambda a, out: ferrule.content_id(a),
    "diff": lambda a, out: ferrule.diff(a, a, tensors=True),
    "verify": lambda a, out: ferrule.verify(a, values=True),
    "inspect": lambda a, out: ferrule.inspect(a),
    "scan": lambda a, out: ferrule.scan(a),
    "convert": lambda a, out: ferrule.convert(a, out, to="bin"),
    "mlx": lambda a, out: ferrule.convert(a, out, to="mlx"),
    "normalize": lambda a, out: ferrule.normalize(a, out),
    "fix": lambda a, out: ferrule.fix(a, out),
    "resize": lambda a, out: ferrule.resize(a, out, rank=2),
    "combine": lambda a, out: ferrule.combine([a, a], out, method="cat"),
    "to_lora": lambda a, out: ferrule.to_lora(a, out, rank=2),
    "check": lambda a, out: ferrule.check(a, make_base(out.parent / f"base of {out.name}")),
    "merge": lambda a, out: ferrule.merge(a, make_base(out.parent / f"base of {out.name}"), out),
    "unmerge": lambda a, out: ferrule.unmerge([a], make_base(out.parent / f"base of {out.name}"), out),
    "publish": lambda a, out: ferrule.publish(a, out),
    "state_dict": lambda a, out: ferrule.state_dict(a, out),
    "open": lambda a, out: ferrule.open(a),
}


def make_base(folder):
    import numpy

    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["Other"], "model_type": "other"}')
    ferrule.numpy.save_file({f"model.layers.{layer}.self_attn.{name}.weight": numpy.zeros((64, 64), numpy.float32)
                             for layer in (0, 1) for name in ("q_proj", "v_proj")}, folder / "model.safetensors")
    return folder


def test_every_verb_that_reads_an_adapter_is_here():
    takes = {name for name in ferrule.__all__ if inspect.isroutine(function := getattr(ferrule, name))
             and {"adapter", "adapters", "a"} & set(inspect.signature(function).parameters)}
    assert takes - {"assemble", "rescue"} <= set(READERS)  # Their adapter is a name in the checkpoint.


@pytest.mark.parametrize("verb", READERS)
def test_every_verb_takes_an_address(stage, hosted, verb):
    make_adapter(stage.folder / "local")
    there = READERS[verb](f"hf://{stage.repo_id}", stage.folder / "there")
    here = READERS[verb](stage.folder / "local", stage.folder / "here")
    assert type(there) is type(here)
    if verb in ("content_id", "explain"):
        assert (there == here) if verb == "content_id" else (there.to_dict()["modules"] == here.to_dict()["modules"])
    if (stage.folder / "here").is_file():
        assert (stage.folder / "there").read_bytes() == (stage.folder / "here").read_bytes()
    weights = {name: data for name, data in content(stage.folder / "here").items() if name.startswith("adapter_model")} if (
        stage.folder / "here").is_dir() else {}
    for name, data in weights.items():
        assert (stage.folder / "there" / name).read_bytes() == data


def test_of_large_weights_inspect_fetches_the_header_alone(stage):
    files = content(make_adapter(stage.folder / "large", hidden=8192))
    stage.world.put(stage.world.create(stage.repo_id), files)
    summary = ferrule.inspect(f"hf://{stage.repo_id}")
    assert summary.totals.tensors == 8 and summary.good
    sent = stage.hub.requests("GET", "cdn|resolve")
    assert sent and all(request.headers.get("Range") for request in sent if "safetensors" in request.target)


def test_a_pending_save_into_the_output_comes_first(stage, hosted):
    def save():
        raise OSError("the disk is full")

    ferrule._pending.submit(str(stage.folder / "here"), save)
    with pytest.raises(OSError, match="the disk is full"):
        ferrule.pull(stage.repo_id, output=stage.folder / "here")


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(("kind", "rule", "also_a", "status"), [
    ("repository_not_found", "HB-5", FileNotFoundError, 404),
    ("gated", "HB-6", PermissionError, 403),
    ("revision_not_found", "HB-7", FileNotFoundError, 404),
    ("entry_not_found", "HB-8", FileNotFoundError, None),
    ("authentication", "HB-4", PermissionError, 401),
    ("network", "HB-3", ConnectionError, None),
])
def test_failures_are_told_apart(stage, hosted, monkeypatch, kind, rule, also_a, status):
    repo_id, arguments = stage.repo_id, {}
    if kind == "repository_not_found":
        repo_id = "ann/nothing"
    if kind == "gated":
        repo_id = f"bob/{pathlib.PurePath(stage.repo_id).name}"
        stage.world.put(stage.world.create(repo_id, gated="manual"), hosted)
    if kind == "revision_not_found":
        arguments = {"revision": "nothing"}
    if kind == "entry_not_found":
        arguments = {"files": ["nothing"]}
    if kind == "authentication":
        arguments = {"token": "hf_wrong"}
    if kind == "network":
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(also_a) as caught:
        ferrule.pull(repo_id, **arguments)
    error = caught.value
    assert isinstance(error, ferrule.Error) and isinstance(error, OSError)
    assert (error.kind, error.rule, error.status) == (kind, rule, status)
    if status:
        assert error.request_id and error.request_id in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and vars(again) == vars(error)
