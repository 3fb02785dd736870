# SPDX-License-Identifier: Apache-2.0
"""One cache, two programs: ferrule and huggingface_hub 2.4.0 read, fill and lock the same folders."""
import fcntl
import json
import os
import pathlib
import subprocess
import threading

import pytest
from adapters import content
from conftest import FERRULE, same_content
from emulator import faults
from test_pull import host, pull

WEIGHTS = "adapter_model.safetensors"
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def layout(cache):
    """{path: what it is}: links with their text, files with their size; trees by their content."""
    found = {}
    for folder, folders, files in os.walk(cache):
        for name in files + [f for f in folders if (pathlib.Path(folder) / f).is_symlink()]:
            path = pathlib.Path(folder) / name
            place = str(path.relative_to(cache))
            if path.is_symlink():
                found[place] = "-> " + os.readlink(path)
            elif "/trees/" in place:
                found[place] = json.loads(path.read_text())
            else:
                found[place] = path.stat().st_size
    return found


def blob(stage, name=WEIGHTS, repo="ann/a"):
    """The file that a snapshot's link leads to."""
    [link] = (stage.cache / ("models--" + repo.replace("/", "--")) / "snapshots").glob(f"*/{name}")
    return link.resolve()


# --- each reads what the other wrote


def test_the_layout_is_that_of_huggingface_hub(stage):
    host(stage, files={**content(stage.adapter()), "deep/er/x.txt": b"x"})
    stage.snapshot("ann/a", HF_HUB_CACHE=stage.folder / "theirs")
    pull(stage, "ann/a", "--cache-dir", stage.folder / "ours")
    assert layout(stage.folder / "ours") == layout(stage.folder / "theirs")
    for path in layout(stage.folder / "ours"):
        mine, theirs = (stage.folder / "ours" / path, stage.folder / "theirs" / path)
        if "/refs/" in path or path == "CACHEDIR.TAG":
            assert mine.read_bytes() == theirs.read_bytes()


def test_the_layout_of_a_branch_is_that_of_huggingface_hub(stage):
    host(stage)
    repo = stage.hub.repo("ann/a")
    repo.refs["refs/pr/1"] = repo.refs["v/1"] = repo.refs["main"]
    for revision in ("refs/pr/1", "v/1"):
        stage.snapshot("ann/a", revision, HF_HUB_CACHE=stage.folder / "theirs")
        pull(stage, "ann/a", "--revision", revision, "--cache-dir", stage.folder / "ours")
    assert layout(stage.folder / "ours") == layout(stage.folder / "theirs")


def test_python_reads_our_cache_offline(stage):
    files = host(stage)
    pull(stage, "ann/a")
    stage.hub.clear_log()
    same_content(stage.snapshot("ann/a", **OFFLINE), files)
    path = stage.python(f"from huggingface_hub import hf_hub_download\nprint(json.dumps(hf_hub_download('ann/a', '{WEIGHTS}')))", **OFFLINE)
    assert pathlib.Path(path).read_bytes() == files[WEIGHTS]
    assert stage.hub.requests() == []


def test_python_finds_nothing_odd_in_our_cache(stage):
    host(stage)
    pull(stage, "ann/a")
    answer = stage.python("from huggingface_hub import scan_cache_dir\nfound = scan_cache_dir()\n"
                          "print(json.dumps([[r.repo_id for r in found.repos], [str(w) for w in found.warnings], "
                          "[sorted(x.refs) for r in found.repos for x in r.revisions]]))")
    assert answer == [["ann/a"], [], [["main"]]]


@pytest.mark.parametrize("xet", [None, "1"], ids=["xet", "lfs"])
def test_we_read_pythons_cache_offline(xet_stage, xet):
    stage = xet_stage
    folder = stage.adapter(hidden=512)
    stage.upload(folder, "ann/a", HF_HUB_DISABLE_XET=xet)
    stage.snapshot("ann/a", HF_HUB_DISABLE_XET=xet)
    stage.hub.clear_log()
    for options in (["--offline"], []):
        answer = pull(stage, "ann/a", *options, **({} if options else OFFLINE))
        same_content(answer["path"], content(folder))
    stage.ferrule("verify", "hf://ann/a", **OFFLINE)
    assert stage.hub.requests() == []


def test_javascript_fills_and_we_read(stage):
    from programs import javascript

    files = host(stage)
    javascript(stage, "snapshot", "ann/a", "main", stage.cache)
    stage.hub.clear_log()
    same_content(pull(stage, "ann/a")["path"], files)
    assert stage.counts()[1] == 0


def test_python_goes_on_in_our_cache_without_fetching(stage):
    files = host(stage)
    pull(stage, "ann/a")
    stage.hub.clear_log()
    same_content(stage.snapshot("ann/a"), files)
    assert stage.counts()[1] == 0


def test_peft_loads_offline_what_we_pulled(stage):
    from test_emulator_others import PEFT

    stage.python(PEFT + "base.config._name_or_path = base.name_or_path = 'acme/base'\nmodel = get_peft_model(base, LoraConfig(r=4, target_modules=['q_proj'], task_type='CAUSAL_LM'))\n"
                 "model.save_pretrained(args[0])", stage.folder / "made")
    stage.ferrule("push", stage.folder / "made", "ann/peft")
    pull(stage, "ann/peft")
    stage.hub.clear_log()
    assert stage.python(PEFT + "print(json.dumps(type(PeftModel.from_pretrained(base, 'ann/peft')).__name__))", **OFFLINE) == "PeftModelForCausalLM"
    assert stage.hub.requests() == []


# --- offline


def test_offline_without_a_cache(stage):
    host(stage)
    error = stage.ferrule("pull", "ann/a", "--offline", "--json", code=3).json["error"]
    assert "offline" in error["message"].lower() and stage.hub.requests() == []


def test_offline_with_half_a_snapshot(stage):
    host(stage)
    pull(stage, "ann/a", "adapter_config.json")
    stage.hub.clear_log()
    error = stage.ferrule("pull", "ann/a", "--offline", "--json", code=3).json["error"]
    assert WEIGHTS in error["message"] or "incomplete" in error["message"]
    pull(stage, "ann/a", "adapter_config.json", "--offline")
    assert stage.hub.requests() == []


@pytest.mark.parametrize("what", ["link", "blob"])
def test_offline_with_a_file_gone(stage, what):
    host(stage)
    answer = pull(stage, "ann/a")
    (pathlib.Path(answer["path"]) / WEIGHTS if what == "link" else blob(stage)).unlink()
    error = stage.ferrule("pull", "ann/a", "--offline", "--json", code=3).json["error"]
    assert WEIGHTS in error["message"]
    stage.ferrule("pull", "ann/a")
    pull(stage, "ann/a", "--offline")


def test_a_hub_that_is_down_leaves_the_cache_usable(stage):
    files = host(stage)
    pull(stage, "ann/a")
    done = stage.ferrule("pull", "ann/a", "--json", code=None, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.code == 0 or done.json["error"]["kind"]
    if done.code == 0:
        same_content(done.json["path"], files)


# --- damage


def damage(path, how):
    data = bytearray(path.read_bytes())
    mode = path.stat().st_mode
    os.chmod(path, 0o644)
    if how == "flip":
        data[len(data) // 2] ^= 1
    elif how == "cut":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = b""
    elif how == "longer":
        data += b"x"
    path.write_bytes(data)
    os.chmod(path, mode)


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "longer"])
@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json"])
def test_a_damaged_blob_is_fetched_again_and_offline_refused(stage, name, how):
    files = host(stage)
    stage.snapshot("ann/a")
    damage(blob(stage, name), how)
    error = stage.ferrule("pull", "ann/a", "--offline", "--json", code=1).json["error"]
    assert name in error["message"]
    same_content(pull(stage, "ann/a")["path"], files)
    stage.ferrule("pull", "ann/a", "--offline")


def test_a_damaged_shared_blob_is_not_written_through(xet_stage):
    """Other repositories' links lead there too: replaced, never changed in place."""
    stage = xet_stage
    folder = stage.adapter(hidden=512)
    stage.upload(folder, "ann/a", HF_HUB_DISABLE_XET=None)
    stage.snapshot("ann/a", HF_HUB_DISABLE_XET=None)
    shared = blob(stage)
    assert shared.parent.parent == stage.cache / "blobs"
    damage(shared, "flip")
    os.link(shared, stage.folder / "other-name")
    before = (stage.folder / "other-name").read_bytes()
    same_content(pull(stage, "ann/a")["path"], content(folder))
    assert (stage.folder / "other-name").read_bytes() == before
    same_content(stage.snapshot("ann/a", HF_HUB_DISABLE_XET=None, **OFFLINE), content(folder))


def test_a_link_out_of_the_cache_is_not_followed_for_writing(stage):
    files = host(stage)
    answer = pull(stage, "ann/a")
    victim = stage.folder / "victim"
    victim.write_text("precious")
    target = blob(stage)
    target.unlink()
    target.symlink_to(victim)
    stage.ferrule("pull", "ann/a", code=None)
    assert victim.read_text() == "precious"
    same_content(answer["path"], files)


def test_a_blob_left_by_a_full_disk_is_not_taken(stage):
    """A file of the right name with nothing in it, from a program that was killed."""
    files = host(stage)
    oid = stage.hub.repo("ann/a").files()[WEIGHTS].sha256
    blobs = stage.cache / "models--ann--a" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / oid).write_bytes(b"\0" * len(files[WEIGHTS]))
    same_content(pull(stage, "ann/a")["path"], files)


def test_foreign_partial_files_are_left_alone(stage):
    files = host(stage)
    oid = stage.hub.repo("ann/a").files()[WEIGHTS].sha256
    blobs = stage.cache / "models--ann--a" / "blobs"
    blobs.mkdir(parents=True)
    foreign = {f"{oid}.incomplete": b"junk", f"{oid}.1a2b3c4d.incomplete": b"junk too"}
    for name, text in foreign.items():
        (blobs / name).write_bytes(text)
    same_content(pull(stage, "ann/a")["path"], files)
    assert {name: (blobs / name).read_bytes() for name in foreign} == foreign


def test_nothing_of_ours_is_left_in_blobs(stage):
    host(stage)
    pull(stage, "ann/a")
    names = [p.name for p in (stage.cache / "models--ann--a" / "blobs").iterdir()]
    assert all(len(name) in (40, 64) for name in names) and len(names) == 4


@pytest.mark.parametrize("text", ["", "{", '{"format_version": 99}', '{"format_version": 1, "files": {"../x": {"size": 1, "blob_id": "a"}}}', "[" * 100000])
def test_a_broken_tree_file_does_no_harm(stage, text):
    files = host(stage)
    commit = pull(stage, "ann/a")["commit"]
    (stage.cache / "models--ann--a" / "trees" / f"{commit}.json").write_text(text)
    same_content(pull(stage, "ann/a")["path"], files)
    assert stage.ferrule("pull", "ann/a", "--offline", code=None).code in (0, 1, 3)


@pytest.mark.parametrize("text", ["", "not a commit", "../../../../etc", "0" * 40, "f" * 39])
def test_a_broken_ref_does_no_harm(stage, text):
    files = host(stage)
    pull(stage, "ann/a")
    (stage.cache / "models--ann--a" / "refs" / "main").write_text(text)
    assert stage.ferrule("pull", "ann/a", "--offline", code=None).code in (1, 3)
    same_content(pull(stage, "ann/a")["path"], files)


# --- at the same time


def start(stage, *arguments, **env):
    return subprocess.Popen([FERRULE, *map(str, arguments)], env=stage.env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=stage.folder)


def test_two_pulls_fetch_once(stage):
    files = host(stage, files=content(stage.adapter(layers=8, hidden=2048)))
    stage.hub.faults.add("GET", "/cdn/", faults.slow(100_000, 0.05))
    running = [start(stage, "pull", "ann/a") for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(stage.hub.requests("GET", "/cdn/")) == 1
    same_content(pull(stage, "ann/a")["path"], files)


def test_python_and_we_at_once(stage):
    files = host(stage, files=content(stage.adapter(layers=8, hidden=2048)))
    stage.hub.faults.add("GET", "/cdn/", faults.slow(100_000, 0.02), times=None)
    running = start(stage, "pull", "ann/a")
    same_content(stage.snapshot("ann/a"), files)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    stage.ferrule("pull", "ann/a", "--offline")


def test_a_lock_that_python_holds_is_waited_for(stage):
    files = host(stage)
    oid = stage.hub.repo("ann/a").files()[WEIGHTS].sha256
    locks = stage.cache / ".locks" / "models--ann--a"
    locks.mkdir(parents=True)
    with open(locks / f"{oid}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = start(stage, "pull", "ann/a")
        with pytest.raises(subprocess.TimeoutExpired):
            running.communicate(timeout=1.5)
        assert not stage.hub.requests("GET", "/cdn/")
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 0, errors
    same_content(pull(stage, "ann/a")["path"], files)


def test_a_stale_lock_file_does_not_block(stage):
    files = host(stage)
    oid = stage.hub.repo("ann/a").files()[WEIGHTS].sha256
    locks = stage.cache / ".locks" / "models--ann--a"
    locks.mkdir(parents=True)
    (locks / f"{oid}.lock").touch()
    same_content(pull(stage, "ann/a")["path"], files)


def test_our_lock_is_seen_by_python(stage):
    host(stage, files=content(stage.adapter(layers=8, hidden=2048)))
    oid = stage.hub.repo("ann/a").files()[WEIGHTS].sha256
    reached, looked = threading.Event(), threading.Event()

    def hold(exchange):
        reached.set()
        looked.wait(60)
        exchange.send(exchange.answer())

    stage.hub.faults.add("GET", "/cdn/", hold)
    running = start(stage, "pull", "ann/a", HF_HUB_DOWNLOAD_TIMEOUT=90)
    assert reached.wait(60)
    script = ("from filelock import FileLock, Timeout\ntry:\n FileLock(args[0], timeout=0.2).acquire(); print('true')\nexcept Timeout:\n print('false')")
    lock = stage.cache / ".locks" / "models--ann--a" / f"{oid}.lock"
    taken = stage.python(script, lock)
    looked.set()
    assert taken is False
    assert running.wait(timeout=60) == 0
    assert stage.python(script, lock) is True and lock.exists()


# --- where the cache is


@pytest.mark.parametrize("env, place", [
    ({"HF_HUB_CACHE": "{f}/x"}, "x"), ({"HUGGINGFACE_HUB_CACHE": "{f}/y"}, "y"), ({"HF_HOME": "{f}/z"}, "z/hub"),
    ({"HF_HOME": None, "XDG_CACHE_HOME": "{f}/xdg"}, "xdg/huggingface/hub"), ({"HF_HOME": None}, ".cache/huggingface/hub"),
    ({"HF_HUB_CACHE": "~/tilde"}, "tilde"), ({"HF_HOME": "$HOME/dollar"}, "dollar/hub"),
    ({"HF_HUB_CACHE": "{f}/first", "HUGGINGFACE_HUB_CACHE": "{f}/second"}, "first"),
], ids=lambda value: str(value))
def test_the_cache_is_where_python_has_it(stage, env, place):
    host(stage)
    env = {name: value and value.format(f=stage.folder) for name, value in env.items()}
    answer = pull(stage, "ann/a", **env)
    assert pathlib.Path(answer["path"]).is_relative_to(stage.folder / place)
    assert str(stage.snapshot("ann/a", **env)) == answer["path"]


def test_a_cache_that_cannot_be_written(stage):
    host(stage)
    (stage.folder / "file").write_text("no folder")
    stage.ferrule("pull", "ann/a", "--cache-dir", stage.folder / "file" / "x", code=3)


@pytest.mark.parametrize("mask", ["022", "077", "002"])
def test_modes_follow_the_umask(stage, mask):
    host(stage)
    command = f"umask {mask}; exec {FERRULE} pull ann/a"
    stage.run("sh", "-c", command, check=True)
    modes = {oct(p.stat().st_mode & 0o777) for p in (stage.cache / "models--ann--a").rglob("*") if p.is_file() and not p.is_symlink()}
    assert modes == {oct(0o666 & ~int(mask, 8))}
