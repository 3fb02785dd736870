# SPDX-License-Identifier: Apache-2.0
"""Asynchronous saves: who waits, and where errors surface."""

import shutil
import subprocess
import sys
import textwrap
import threading

import peft
import pytest
import torch

import ferrule.peft
from ferrule import _pending
from ferrule.peft import _save
from models import clean, llama, make  # noqa: F401


@pytest.fixture
def gate(monkeypatch):
    """Holds the writer thread until it is set."""
    opened = threading.Event()
    submit = _pending.submit

    def held(directory, work):
        def later():
            assert opened.wait(60)
            work()

        return submit(directory, later)

    monkeypatch.setattr(_save._pending, "submit", held)
    yield opened
    opened.set()
    _pending.finish()


def opens_soon(gate):
    threading.Timer(0.2, gate.set).start()


def weights_of(model):
    return model.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight


def test_it_returns_before_the_files_are_there(gate, tmp_path):
    pending = ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", asynchronous=True)
    assert not pending.done()
    assert not (tmp_path / "out").exists()
    with pytest.raises(TimeoutError):
        pending.wait(timeout=0.01)
    gate.set()
    pending.wait()
    assert pending.done() and pending.exception() is None
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()


@pytest.mark.parametrize("read", [
    lambda path: ferrule.peft.from_pretrained(llama(), path),
    lambda path: peft.PeftModel.from_pretrained(llama(), path),
    lambda path: peft.PeftModel.from_pretrained(llama(), model_id=path),
    lambda path: peft.PeftConfig.from_pretrained(path),
    lambda path: peft.utils.load_peft_weights(str(path)),
    lambda path: make("lora").load_adapter(str(path), "default"),
    lambda path: ferrule.open(path),
    lambda path: ferrule.peft.wait(path),
    lambda path: ferrule.peft.wait(path.parent),
    lambda path: ferrule.peft.wait(),
    lambda path: ferrule.peft.unpatch(),
    lambda path: ferrule.peft.save_pretrained(make("lora"), path),
])
def test_who_reads_the_path_waits(read, gate, tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", asynchronous=True)
    opens_soon(gate)
    read(tmp_path / "out")
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()


def test_who_deletes_it_waits(gate, tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "run" / "out", asynchronous=True)
    opens_soon(gate)
    (tmp_path / "run").mkdir()
    shutil.rmtree(tmp_path / "run")
    _pending.finish()
    assert not (tmp_path / "run").exists(), "a save came back after its folder was deleted"


def test_other_paths_do_not_wait(gate, tmp_path):
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "a", asynchronous=True)
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "b")
    ferrule.peft.from_pretrained(llama(), tmp_path / "b")
    assert not (tmp_path / "a").exists()


def test_an_error_raises_from_wait_and_the_old_adapter_stays(tmp_path):
    model = make("lora")
    ferrule.peft.save_pretrained(model, tmp_path)
    before = (tmp_path / "adapter_model.safetensors").read_bytes()
    model.peft_config["default"].r = 99
    pending = ferrule.peft.save_pretrained(model, tmp_path, asynchronous=True)
    with pytest.raises(ferrule.CorruptError, match="AD-5"):
        pending.wait()
    assert "failed" in repr(pending)
    assert (tmp_path / "adapter_model.safetensors").read_bytes() == before


def test_an_error_nobody_waited_for_raises_from_the_next_save(tmp_path):
    broken = make("lora")
    broken.peft_config["default"].r = 99
    pending = ferrule.peft.save_pretrained(broken, tmp_path / "broken", asynchronous=True)
    pending._finished.wait()
    with pytest.raises(ferrule.CorruptError, match="AD-5"):
        ferrule.peft.save_pretrained(make("lora"), tmp_path / "good")
    ferrule.peft.save_pretrained(make("lora"), tmp_path / "good")  # It was seen.


def test_an_error_raises_where_the_path_is_loaded(tmp_path):
    broken = make("lora")
    broken.peft_config["default"].r = 99
    ferrule.peft.save_pretrained(broken, tmp_path, asynchronous=True)
    with pytest.raises(ferrule.CorruptError, match="AD-5"):
        ferrule.peft.from_pretrained(llama(), tmp_path)


PROGRAM = """
    import os, sys
    os.environ["HF_HUB_OFFLINE"] = "1"
    sys.path.insert(0, {tests!r})
    import ferrule.peft
    from models import make
    model = make("lora")
    model.peft_config["default"].r = {rank}
    ferrule.peft.save_pretrained(model, {path!r}, asynchronous=True)
"""


def run_program(tmp_path, rank):
    from pathlib import Path

    text = textwrap.dedent(PROGRAM).format(tests=str(Path(__file__).parent), rank=rank, path=str(tmp_path / "out"))
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=300)


def test_the_interpreter_exits_with_the_files_written(tmp_path):
    done = run_program(tmp_path, 4)
    assert done.returncode == 0, done.stderr
    assert len(ferrule.open(tmp_path / "out").modules) == 4


def test_an_error_is_printed_at_exit(tmp_path):
    done = run_program(tmp_path, 99)
    assert "the asynchronous save into" in done.stderr and "AD-5" in done.stderr
    assert not (tmp_path / "out").exists()


def test_savers_follow_each_other_in_one_buffer(tmp_path):
    model = make("lora")
    for step in range(20):
        with torch.no_grad():
            weights_of(model).fill_(step)
        ferrule.peft.save_pretrained(model, tmp_path / f"{step % 3}", asynchronous=True)
    ferrule.peft.wait()
    for step in (17, 18, 19):
        found = peft.load_peft_weights(str(tmp_path / f"{step % 3}"))
        assert (found["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"] == step).all()


def test_a_forked_child_has_nothing_pending(gate, tmp_path):
    import os

    ferrule.peft.save_pretrained(make("lora"), tmp_path / "out", asynchronous=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if not _pending._registry.saves else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
