# SPDX-License-Identifier: Apache-2.0
"""The emulated Hub of tests/hub, in this very process: its answers come from threads of Python, so that a call
which kept the GIL would wait for itself."""

import atexit
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[3]
sys.path[:0] = [str(ROOT / "tests/hub"), str(ROOT / "python/tests/peft")]
from emulator import Hub  # noqa: E402

HUB = Hub()
HOME = pathlib.Path(tempfile.mkdtemp(prefix="ferrule-hub-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
TOKEN = HUB.world.add_user("ann")
# huggingface_hub reads these when it is imported; Ferrule with every call.
os.environ.update({
    "HF_ENDPOINT": HUB.url, "HF_TOKEN": TOKEN, "HF_HOME": str(HOME), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "*",
})  # fmt: skip


class Stage:
    """What a test asks of the Hub."""

    def __init__(self, repo_id, folder):
        self.hub, self.world, self.faults, self.token = HUB, HUB.world, HUB.faults, TOKEN
        #: A name that no other test uses.
        self.repo_id = repo_id
        self.folder = folder
        self.home = HOME

    def stored(self, branch="main", repo_id=None):
        """{path: bytes} of what the Hub has, without the .gitattributes of its own."""
        files = self.hub.repo(repo_id or self.repo_id).files(branch)
        return {path: self.world.content(file) for path, file in files.items() if path != ".gitattributes"}

    def commits(self):
        return self.hub.requests("POST", f"/{self.repo_id}/commit/")


@pytest.fixture
def stage(request, tmp_path):
    number = HUB.world.__dict__.setdefault("numbered_by_tests", [])
    number.append(request.node.name)
    HUB.clear_log()
    yield Stage(f"ann/adapter-{len(number)}", tmp_path)
    HUB.faults.clear()
    assert HUB.crashes() == []
    assert HUB.leaks(TOKEN) == [], "a token went to another origin or into a URL"
