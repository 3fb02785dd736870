# SPDX-License-Identifier: Apache-2.0
"""The stage of each test: an emulated Hub with a user, a home folder, and the programs that talk to it.

FERRULE names the command under test. A program that a test needs and that is missing is a failure, not a skip.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from adapters import content, make_adapter  # noqa: E402
from emulator import Hub  # noqa: E402

HERE = pathlib.Path(__file__).parent
# The word of each rule in a failure's JSON (docs/rules/HB.md).
RULES = {
    "usage": "HB-1", "offline": "HB-2", "network": "HB-3", "authentication": "HB-4", "repository_not_found": "HB-5", "gated": "HB-6",
    "revision_not_found": "HB-7", "entry_not_found": "HB-8", "forbidden": "HB-9", "rate_limited": "HB-10", "server": "HB-11",
    "bad_answer": "HB-12", "integrity": "HB-13", "unsafe_path": "HB-14", "public": "HB-15", "conflict": "HB-16", "card": "HB-17",
    "upload_refused": "HB-18", "changed": "HB-19", "incomplete": "HB-20", "cancelled": "HB-21",
}
LIMIT = 180  # seconds that a program may take, on a busy machine


class Ran:
    """A program that ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Stage:
    def __init__(self, hub, folder):
        self.hub, self.folder = hub, folder
        self.home = folder / "home"
        self.home.mkdir()
        self.token = hub.world.add_user("ann")
        self.outputs = []  # of every program run, to look for secrets

    @property
    def cache(self):
        return self.home / "hub"

    def adapter(self, name="adapter", **options):
        return make_adapter(self.folder / name, **options)

    def env(self, **more):
        """A clean environment: nothing of the machine's own accounts, caches or proxies."""
        base = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "HF_HOME": str(self.home), "HF_ENDPOINT": self.hub.url,
            "HF_TOKEN": self.token, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1", "NO_PROXY": "*", "LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "TOKENIZERS_PARALLELISM": "false",
        }
        base.update({name: str(value) for name, value in more.items() if value is not None})
        for name in [name for name, value in more.items() if value is None]:
            base.pop(name, None)
        return base

    def run(self, *command, env=None, check=False, limit=LIMIT, cwd=None):
        done = Ran(subprocess.run([str(part) for part in command], env=env or self.env(), capture_output=True, text=True,
                                  errors="replace", timeout=limit, cwd=cwd or self.folder, stdin=subprocess.DEVNULL))
        self.outputs.append(done.out + done.err)
        if check:
            assert done.code == 0, done
        return done

    # --- the programs

    def ferrule(self, *arguments, code=0, limit=LIMIT, cwd=None, **env):
        """Runs the command, which must end with exit status `code` (None: any)."""
        done = self.run(FERRULE, *arguments, env=self.env(**env), limit=limit, cwd=cwd)
        assert code is None or done.code == code, done
        if "--json" in arguments and done.code not in (0, 2):
            error = done.json.get("error") or {}
            assert error.get("rule", "") == RULES.get(error.get("kind"), error.get("rule", "")), done
        return done

    def python(self, script, *arguments, check=True, limit=LIMIT, **env):
        """Runs `script` with huggingface_hub at hand; the last line of its output, as JSON, is the answer."""
        done = self.run(sys.executable, "-c", "import sys, json, os\nargs = sys.argv[1:]\n" + script, *arguments, env=self.env(**env), limit=limit)
        if not check:
            return done
        assert done.code == 0, done
        return json.loads(done.out.strip().splitlines()[-1]) if done.out.strip() else None

    def upload(self, folder, repo_id, **env):
        """upload_folder of huggingface_hub."""
        return self.python("from huggingface_hub import HfApi\napi = HfApi()\napi.create_repo(args[1], exist_ok=True)\n"
                           "print(json.dumps(api.upload_folder(repo_id=args[1], folder_path=args[0]).oid))", folder, repo_id, **env)

    def snapshot(self, repo_id, revision=None, **env):
        """snapshot_download of huggingface_hub: the folder."""
        return pathlib.Path(self.python("from huggingface_hub import snapshot_download\n"
                                        "print(json.dumps(snapshot_download(args[0], revision=args[1] or None)))", repo_id, revision or "", **env))

    # --- what tests ask

    def stored(self, repo_id, branch="main"):
        """{path: bytes} of what the Hub has, without the .gitattributes of its own."""
        files = self.hub.repo(repo_id).files(branch)
        return {path: self.hub.world.content(file) for path, file in files.items() if path != ".gitattributes"}

    def counts(self):
        """(requests to the Hub, to its storage), as a client makes them that is no Python."""
        log = self.hub.requests()
        return sum(r.origin == "hub" for r in log), sum(r.origin == "storage" for r in log)


FERRULE = os.environ.get("FERRULE", "ferrule")


def _stage(tmp_path, **options):
    with Hub(**options) as hub:
        stage = Stage(hub, tmp_path)
        yield stage
        assert hub.crashes() == []
        for token in hub.world.tokens:
            assert hub.leaks(token) == [], "a token went to another origin or into a URL"
            assert not any(token in output for output in stage.outputs), "a token was printed"
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def stage(tmp_path):
    yield from _stage(tmp_path)


@pytest.fixture
def store(shared_store):
    """An empty one of the object stores that the module starts."""
    shared_store.clear()
    yield shared_store
    assert shared_store.door.crashes == []


@pytest.fixture
def xet_stage(tmp_path):
    yield from _stage(tmp_path, xet=True)


def same_content(folder, files):
    """Fails with the names that differ, not with the bytes."""
    have = content(folder)
    have.pop(".gitattributes", None)
    assert sorted(have) == sorted(files)
    assert [path for path in files if have[path] != files[path]] == []


def pytest_collection_modifyitems(items):
    """Of the tests that cross every step with every trouble one in four runs always, the others are slow (they wait)."""
    crossed = [item for item in items if item.name.startswith(("test_every_step_survives_every_trouble[", "test_trouble_is_survived["))]
    for number, item in enumerate(crossed):
        if number % 4:
            item.add_marker(pytest.mark.slow)
