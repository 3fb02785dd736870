# SPDX-License-Identifier: Apache-2.0
"""ferrule.ray on two nodes: the truth is what the verbs say in one process."""

import json
import os
import shutil
import subprocess
import sys

import ferrule
import ferrule.ray
import numpy
import pyarrow.parquet
import pytest
import ray
from adapters import make_adapter
from conftest import ROOT
from safetensors.numpy import save_file

UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo("ann/a")
HfApi().upload_folder(repo_id="ann/a", folder_path=sys.argv[1])
"""

GOLDEN = sorted({path.parent for path in (ROOT / "tests/golden/cases").rglob("adapter_config.json")})


def make_base(folder, layers=2, hidden=64):
    folder.mkdir()
    names = [f"model.layers.{layer}.self_attn.{name}.weight" for layer in range(layers) for name in ("q_proj", "v_proj")]
    save_file({name: numpy.zeros((hidden, hidden), numpy.float32) for name in names}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
                                                    "hidden_size": hidden, "num_hidden_layers": layers}))
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    """Good ones, one that is damaged, one of another size, and none."""
    folder = tmp_path_factory.mktemp("adapters")
    good = [make_adapter(folder / f"good{number}", seed=number) for number in range(20)]
    bad = make_adapter(folder / "bad", seed=30)
    weights = bad / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    wide = make_adapter(folder / "wide", hidden=32)
    return [*map(str, good), str(bad), str(wide), str(folder / "nothing")]


def by_path(dataset, column="path"):
    rows = dataset.take_all()
    found = {row[column]: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_verify_says_of_each_what_one_process_says(adapters):
    paths = [*adapters, *map(str, GOLDEN[:40])]
    rows = by_path(ferrule.ray.verify(paths, batch_size=5))
    assert set(rows) == set(paths)
    for path, row in rows.items():
        report = ferrule.verify(path)
        expected = "good" if report.good else "error" if report.system_error else "bad"
        assert (row["status"], row["verified"], row["bad"]) == (expected, report.verified, report.bad), path
        assert json.loads(row["report"]) == report.to_dict()["paths"][0]
        assert row["findings"] == report.to_dict()["paths"][0]["findings"]
        assert (row["message"] is None) == (expected == "good"), row


def test_what_cannot_be_read_is_a_row(adapters):
    rows = by_path(ferrule.ray.content_id(adapters))
    assert rows[adapters[0]]["id"] == ferrule.content_id(adapters[0])
    bad, nothing = rows[adapters[-3]], rows[adapters[-1]]
    assert (bad["status"], bad["exit"], bad["id"]) == ("bad", 1, None) and bad["rule"].startswith("ST-")
    assert (nothing["status"], nothing["exit"]) == ("error", 3) and "nothing" in nothing["message"]


def test_check_reads_the_headers_of_a_base_once_on_each_node(adapters, store, tmp_path):
    base = make_base(tmp_path / "base")
    store.upload({path.name: path.read_bytes() for path in base.iterdir()}, "base")
    store.door.log.clear()
    rows = by_path(ferrule.ray.check(adapters, "s3://adapters/base", engines=["vllm"], batch_size=1))
    read = [request for request in store.door.log if "model.safetensors" in request.path and request.method == "GET"]
    once = len(read)
    ferrule.BaseModel.open("s3://adapters/base")
    alone = len([r for r in store.door.log if "model.safetensors" in r.path and r.method == "GET"]) - once
    assert 0 < once <= 2 * alone
    for path in adapters[:20]:
        report = ferrule.check(path, base, engines=["vllm"])
        assert (rows[path]["verdict"], rows[path]["matched"], rows[path]["total"]) == (report.verdict, report.matched, report.total)
    wide = rows[adapters[-2]]
    assert wide["status"] == "bad" and wide["verdict"] == "bad" and wide["message"]


def test_an_adapter_with_errors_has_them_in_its_row(tmp_path):
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "adapter", r=4)  # The tensors have rank 8.
    row = by_path(ferrule.ray.check([adapter], base))[str(adapter)]
    report = ferrule.check(adapter, base)
    assert not report.good and row["verdict"] == report.verdict == "bad"
    assert row["findings"] == report.to_dict()["findings"] and row["rule"]


def test_check_takes_the_base_that_each_config_names(tmp_path):
    base = make_base(tmp_path / "base")
    named = make_adapter(tmp_path / "named", base_model_name_or_path=str(base))
    none = make_adapter(tmp_path / "none", base_model_name_or_path=None)
    rows = by_path(ferrule.ray.check([named, none]))
    assert rows[str(named)]["status"] == "good"
    assert (rows[str(none)]["status"], rows[str(none)]["exit"]) == ("error", 2) and "base" in rows[str(none)]["message"]


def test_a_base_that_is_not_there_is_each_rows_error(adapters):
    rows = by_path(ferrule.ray.check(adapters[:3], "/no such base"))
    assert all(row["status"] == "error" and "no such base" in row["message"] for row in rows.values())


def test_scan_finds_what_would_run(tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    # A pickle that would call print: PROTO 2, GLOBAL, MARK, a text, TUPLE, REDUCE, STOP.
    (evil / "adapter_model.bin").write_bytes(b"\x80\x02cbuiltins\nprint\n(X\x01\x00\x00\x00ate.")
    rows = by_path(ferrule.ray.scan([evil, GOLDEN[0]]))
    report = ferrule.scan(evil)
    assert not report.good
    row = rows[str(evil)]
    assert (row["status"], row["verdict"], row["dangerous"]) == ("bad", report.verdict, report.counts["dangerous"])
    assert rows[str(GOLDEN[0])]["status"] == "good"


def test_addresses_of_an_object_store_and_of_the_hub(adapters, store, hub, tmp_path):
    store.upload({path.name: path.read_bytes() for path in map(make_adapter, [tmp_path / "a"]) for path in path.iterdir()}, "team/a")
    # In another process: huggingface_hub reads its settings when it is imported.
    subprocess.run([sys.executable, "-c", UPLOAD, tmp_path / "a"], check=True)
    paths = ["s3://adapters/team/a", "hf://ann/a", "s3://adapters/team/none"]
    rows = by_path(ferrule.ray.content_id(paths))
    assert rows[paths[0]]["id"] == rows[paths[1]]["id"] == ferrule.content_id(tmp_path / "a")
    assert rows[paths[2]]["status"] in ("bad", "error") and rows[paths[2]]["id"] is None
    assert [by_path(ferrule.ray.verify(paths))[path]["status"] for path in paths[:2]] == ["good", "good"]


def test_convert_writes_each_to_its_own_place(adapters, tmp_path):
    rows = by_path(ferrule.ray.convert(adapters, tmp_path / "out", to="bin"))
    for path in adapters[:20]:
        output = rows[path]["output"]
        assert output == str(tmp_path / "out" / os.path.basename(path))
        assert ferrule.content_id(output) == ferrule.content_id(path)
    assert rows[adapters[-1]]["output"] is None and rows[adapters[-1]]["status"] == "error"


def test_items_of_the_same_name_do_not_meet(tmp_path):
    paths = [make_adapter(tmp_path / "in" / where / "adapter", seed=seed) for seed, where in enumerate("ab")]
    rows = by_path(ferrule.ray.convert(paths, tmp_path / "out", to="bin"))
    assert len({row["output"] for row in rows.values()}) == 2
    for path in paths:
        assert ferrule.content_id(rows[str(path)]["output"]) == ferrule.content_id(path)


def test_a_dataset_keeps_its_other_columns(adapters, tmp_path):
    given = ray.data.from_items([{"adapter": path, "owner": f"ann{number}"} for number, path in enumerate(adapters[:4])])
    rows = by_path(ferrule.ray.verify(given, column="adapter"), "adapter")
    assert [rows[path]["owner"] for path in adapters[:4]] == [f"ann{number}" for number in range(4)]
    placed = given.map(lambda row: {**row, "output": row["owner"] + "/x"})
    rows = by_path(ferrule.ray.convert(placed, tmp_path / "out", to="bin", column="adapter"), "adapter")
    assert rows[adapters[1]]["output"] == str(tmp_path / "out/ann1/x")


def test_results_are_parquet_and_can_be_tried_again(adapters, tmp_path):
    results = ferrule.ray.verify(adapters, batch_size=4)
    results.write_parquet(str(tmp_path / "results"))
    table = pyarrow.parquet.read_table(tmp_path / "results")
    assert table.num_rows == len(adapters) and len({str(kind) for kind in table.schema.types}) > 2
    failed = ray.data.read_parquet(str(tmp_path / "results")).filter(lambda row: row["status"] == "error")
    again = by_path(ferrule.ray.verify(failed))
    assert list(again) == [adapters[-1]] and set(table.column_names) == set(again[adapters[-1]])


def test_ray_runs_again_what_a_lost_worker_was_doing(adapters, tmp_path):
    marker = tmp_path / "died"

    def die_once(batch):
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return batch
        os._exit(1)

    dying = ray.data.from_items([{"path": path} for path in adapters]).map_batches(die_once)
    rows = by_path(ferrule.ray.verify(dying))
    assert marker.exists() and set(rows) == set(adapters)
    assert {rows[path]["status"] for path in adapters[:20]} == {"good"}


def test_a_lost_node_is_made_up_for(adapters, cluster, tmp_path):
    """A third node waits in the middle of its work until it is taken away."""
    node = cluster.add_node(num_cpus=1, resources={"third": 1})
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    marker = tmp_path / "began"

    def wait_there(batch, gate, marker):
        if not marker.exists():
            marker.touch()
            with open(gate, "wb") as out:  # Until the test reads: then this node is about to go.
                out.write(b"here")
            with open(gate, "rb") as never:
                never.read()
        return batch

    paths = ray.data.from_items([{"path": path} for path in adapters[:3]]).repartition(1)
    held = paths.map_batches(wait_there, fn_kwargs={"gate": gate, "marker": marker}, resources={"third": 0.1})
    refs = ray.remote(num_cpus=0)(lambda: held.take_all()).remote()
    with open(gate, "rb") as began:
        assert began.read() == b"here"
    cluster.remove_node(node)
    node = cluster.add_node(num_cpus=1, resources={"third": 1})
    assert len(ray.get(refs)) == 3
    cluster.remove_node(node)


@pytest.mark.parametrize("call, error, match", [
    (lambda: ferrule.ray.check(["a"], base=7), TypeError, "base"),
    (lambda: ferrule.ray.check(["a"], "b", engines="vllm"), TypeError, "engines"),
    (lambda: ferrule.ray.scan(["a"], fail_on="bad"), ValueError, "fail_on"),
    (lambda: ferrule.ray.verify([7]), TypeError, "path"),
    (lambda: ferrule.ray.verify(["a"], batch_size=0), ValueError, "batch_size"),
])
def test_wrong_arguments_are_refused_at_the_call(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_no_path_is_no_row():
    assert ferrule.ray.verify([]).take_all() == []


def test_a_base_in_another_format_is_opened_as_it_is(tmp_path):
    import torch

    base = make_base(tmp_path / "base")
    names = [f"model.layers.{layer}.self_attn.{name}.weight" for layer in range(2) for name in ("q_proj", "v_proj")]
    torch.save({name: torch.zeros(64, 64) for name in names}, base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    adapter = make_adapter(tmp_path / "adapter")
    assert by_path(ferrule.ray.check([adapter], base))[str(adapter)]["status"] == "good"
    shutil.rmtree(base)
