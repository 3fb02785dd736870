# SPDX-License-Identifier: Apache-2.0
"""Every snippet of the pages about ferrule.peft runs."""

import re
from pathlib import Path

import pytest
import transformers

import ferrule.peft
from models import clean, llama, make  # noqa: F401
from test_trainer import Tokens

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize(("page", "count"), [("peft.md", 5), ("async.md", 3)])
def test_snippets_run(page, count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = transformers.TrainingArguments(output_dir="run", max_steps=2, save_steps=1, report_to=[], use_cpu=True)
    names = {"ferrule": ferrule, "model": make("lora"), "make_base": llama, "dataset": Tokens(),
             "training_args": arguments}
    snippets = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    # hub/test_docs.py, test_accelerate.py and check_lightning.py have those.
    elsewhere = ("me/my-adapter", "accelerat", "Lightning")
    snippets = [snippet for snippet in snippets if not any(word in snippet for word in elsewhere)]
    assert len(snippets) == count
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), names)
    ferrule.peft.wait()
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()
