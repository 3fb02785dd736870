# SPDX-License-Identifier: Apache-2.0
"""The verbs that compute or copy weights: their reports are the documents of the command's --json."""

import json
import shutil
import subprocess

import ferrule
import ferrule.numpy
import numpy as np
import pytest
from test_reports import MODULES, adapter, assert_is_report, base, documents, tensors_of, write_adapter  # noqa: F401

VERBS = {
    "merge": (lambda a, b, out, **more: ferrule.merge(a, b, out, weights=[0.5], **more),
              ["merge", "{a}", "--base", "{b}", "-o", "{out}", "--weight", "0.5"]),
    "unmerge": (lambda a, b, out, **more: ferrule.unmerge(a, b, out, **more),
                ["unmerge", "{a}", "--base", "{b}", "-o", "{out}"]),
    "combine": (lambda a, b, out, **more: ferrule.combine([a, a], out, method="svd", rank=4, **more),
                ["combine", "{a}", "{a}", "-o", "{out}", "--method", "svd", "--rank", "4"]),
    "resize": (lambda a, b, out, **more: ferrule.resize(a, out, rank=2, **more),
               ["resize", "{a}", "-o", "{out}", "--rank", "2"]),
    "to_lora": (lambda a, b, out, **more: ferrule.to_lora(a, out, rank=2, **more),
                ["to-lora", "{a}", "-o", "{out}", "--rank", "2"]),
    "publish": (lambda a, b, out, **more: ferrule.publish(a, out, **more), ["publish", "{a}", "{out}"]),
}


class Counter:
    """As much of tqdm as is used."""

    def __init__(self):
        self.total, self.done = None, 0

    def update(self, n):
        self.done += n


@pytest.mark.parametrize("verb", VERBS)
def test_a_report_is_the_document_of_the_command(tmp_path, adapter, base, documents, verb):  # noqa: F811
    call, words = VERBS[verb]
    bar = Counter()
    report = call(adapter, base, tmp_path / "ours", progress=bar)
    document = documents(*[word.format(a=adapter, b=base, out=tmp_path / "theirs") for word in words])
    assert_is_report(report, json.loads(json.dumps(document).replace(str(tmp_path / "theirs"), str(tmp_path / "ours"))))
    report.raise_for_errors()
    ours, theirs = (sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (
        tmp_path / "ours", tmp_path / "theirs"))
    assert ours == theirs


def test_extract_gives_the_document_of_the_command(tmp_path, base, documents):  # noqa: F811
    tuned = tmp_path / "tuned"
    shutil.copytree(base, tuned)
    random = np.random.default_rng(0)
    ferrule.numpy.save_file({f"{module}.weight": random.standard_normal((8, 8), dtype=np.float32) for module in MODULES},
                            tuned / "model.safetensors")
    report = ferrule.extract(base, tuned, tmp_path / "ours", rank=2)
    document = documents("extract", "--base", base, "--tuned", tuned, "-o", tmp_path / "theirs", "--rank", "2")
    assert_is_report(report, json.loads(json.dumps(document).replace(str(tmp_path / "theirs"), str(tmp_path / "ours"))))


def test_a_rescue_gives_the_document_of_the_command(tmp_path, documents):  # noqa: F811
    import torch

    checkpoint = tmp_path / "checkpoint.ckpt"
    live = {f"model.{key.replace('.weight', '.default.weight')}": torch.from_numpy(tensor)
            for key, tensor in tensors_of(MODULES).items()}
    torch.save({"state_dict": live, "pytorch-lightning_version": "2.6.0", "global_step": 3, "epoch": 1}, checkpoint)
    config = write_adapter(tmp_path / "adapter") / "adapter_config.json"
    report = ferrule.rescue(checkpoint, tmp_path / "ours", config=config, progress=Counter())
    document = documents("rescue", checkpoint, "-o", tmp_path / "theirs", "--config", config)
    assert_is_report(report, json.loads(json.dumps(document).replace(str(tmp_path / "theirs"), str(tmp_path / "ours"))))
    assert ferrule.diff(tmp_path / "ours", tmp_path / "adapter").same


@pytest.mark.parametrize("verb", VERBS)
def test_a_misspelled_keyword_and_a_bad_input_leave_nothing(tmp_path, adapter, base, verb):  # noqa: F811
    call, _ = VERBS[verb]
    with pytest.raises(TypeError, match="durabilty.*did you mean 'durability'"):
        call(adapter, base, tmp_path / "out", durabilty="full")
    with pytest.raises(ferrule.InvalidArgumentError, match="^durability: "):
        call(adapter, base, tmp_path / "out", durability="eternal")
    with pytest.raises(FileNotFoundError):
        call(tmp_path / "missing", base, tmp_path / "out")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(ferrule.CorruptError):
        call(adapter, base, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]
