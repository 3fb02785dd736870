# SPDX-License-Identifier: Apache-2.0
"""The snippets that push to the Hub, or pull from it."""

import os
import re
import subprocess
import sys

import peft
import pytest
from adapters import make_adapter
from conftest import HUB, ROOT

import ferrule.peft
from models import clean, llama, make  # noqa: F401


@pytest.mark.parametrize("page", ["hub.md", "python.md", "peft.md"])
def test_snippets_run(stage, page, monkeypatch):
    monkeypatch.chdir(stage.folder)
    monkeypatch.setenv("HF_TOKEN", HUB.world.add_user("me"))
    HUB.world.repos.pop(("model", "me/my-adapter"), None)
    make_adapter(stage.folder / "my-adapter")
    names = {"ferrule": ferrule, "peft": peft, "model": make("lora"), "make_base": llama}
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    snippets = [snippet for snippet in snippets if "me/my-adapter" in snippet]
    assert len(snippets) == 1
    exec(compile(snippets[0], page, "exec"), names)
    assert "adapter_model.safetensors" in stage.stored(repo_id="me/my-adapter")


def test_all_that_the_pages_show_for_the_shell_can_be_done_in_python_without_numpy_and_torch(stage):
    subprocess.run([sys.executable, ROOT / "python/tests/walk_readme.py", os.environ["FERRULE_COMMAND"], ROOT], check=True)
