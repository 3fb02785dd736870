# SPDX-License-Identifier: Apache-2.0
"""Long calls: progress, other threads meanwhile, and Ctrl-C. A lock that another saver holds makes them wait."""

import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import ferrule
import pytest
from ferrule import _ferrule


class Bar:
    """What is used of tqdm."""

    def __init__(self, total=None):
        self.total = total
        self.steps = []

    def update(self, n):
        self.steps.append(n)


@pytest.fixture
def output(lora, tmp_path):
    """A directory with an older adapter."""
    return pathlib.Path(shutil.copytree(lora, tmp_path / "output"))


class Held:
    """The lock that a saver of the directory holds."""

    def __init__(self, directory):
        self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def release(self):
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def convert(adapter, output, tick=None):
    return _ferrule.convert(adapter, output, "bin", "", "safe", tick)


def test_a_bar_is_told_the_bytes_and_how_many_there_will_be(lora, tmp_path):
    bar = Bar()
    report = ferrule.convert(lora, tmp_path / "out", progress=bar)
    assert bar.total == report.adapters[0].source_bytes == (lora / "adapter_model.safetensors").stat().st_size
    assert sum(bar.steps) >= bar.total
    kept = Bar(total=7)
    ferrule.convert(lora, tmp_path / "out", progress=kept)
    assert kept.total == 7


@pytest.mark.parametrize("call", [
    lambda a, o, bar: ferrule.content_id(a, progress=bar),
    lambda a, o, bar: ferrule.diff(a, a, progress=bar),
    lambda a, o, bar: ferrule.inspect(a.parent, progress=bar),
    lambda a, o, bar: ferrule.verify(a, progress=bar),
    lambda a, o, bar: ferrule.scan(a, progress=bar),
    lambda a, o, bar: ferrule.normalize(a, o, progress=bar),
    lambda a, o, bar: ferrule.fix(a, o, progress=bar),
    lambda a, o, bar: ferrule.save({key: value for key, value in ferrule.open(a).state_dict("numpy").items()}, o, a,
                                   progress=bar),
])
def test_every_long_call_tells_its_progress(lora, tmp_path, call):
    bar = Bar()
    call(lora, tmp_path / "out", bar)
    assert sum(bar.steps) > 0
    for progress in (None, False, True):
        call(lora, tmp_path / "out", progress)


def test_a_class_makes_the_bar_and_it_is_closed(lora, tmp_path):
    made = []

    class Made(Bar):
        def __init__(self, *, desc, unit, total, unit_scale):
            super().__init__(total)
            self.closed = False
            made.append(self)

        def close(self):
            self.closed = True

    ferrule.convert(lora, tmp_path / "out", progress=Made)
    assert len(made) == 1 and made[0].closed and sum(made[0].steps) >= made[0].total
    from tqdm import tqdm

    ferrule.convert(lora, tmp_path / "out", progress=tqdm)


def test_true_needs_no_tqdm(lora, tmp_path):
    program = ("import sys; sys.modules['tqdm'] = None; sys.modules['tqdm.auto'] = None; import ferrule;"
               "ferrule.convert(sys.argv[1], sys.argv[2], progress=True)")
    done = subprocess.run([sys.executable, "-c", program, lora, tmp_path / "out"], capture_output=True, check=True)
    assert done.stderr == done.stdout == b""


@pytest.mark.parametrize("progress", [3, "bar", object(), lambda n: None])
def test_what_is_no_bar_is_a_type_error(lora, tmp_path, progress):
    with pytest.raises(TypeError, match="^progress: expected "):
        ferrule.convert(lora, tmp_path / "out", progress=progress)
    assert not (tmp_path / "out").exists()


def test_other_threads_run_while_a_save_waits(lora, output):
    waiting = threading.Event()
    with Held(output) as lock:
        def release():
            waiting.wait()
            lock.release()

        other = threading.Thread(target=release)
        other.start()
        convert(lora, output, lambda *_: waiting.set())
        other.join()
    assert (output / "adapter_model.bin").exists()


def test_an_exception_while_it_waits_leaves_nothing_behind(lora, output):
    before = content(output)

    def tick(*_):
        raise KeyboardInterrupt

    with Held(output), pytest.raises(KeyboardInterrupt):
        convert(lora, output, tick)
    assert content(output) == before
    assert [path.name for path in output.parent.iterdir()] == ["output"]
    convert(lora, output)


def test_an_exception_in_one_save_leaves_the_others_alone(lora, output, tmp_path):
    """Each call has its own end, so that a background save goes on."""
    def tick(*_):
        raise KeyboardInterrupt

    done = []

    def save():
        convert(lora, output)
        done.append(True)

    with Held(output) as lock:
        other = threading.Thread(target=save)
        other.start()
        with pytest.raises(KeyboardInterrupt):
            convert(lora, output, tick)
        lock.release()
        other.join()
    assert done == [True] and (output / "adapter_model.bin").exists()


def test_ctrl_c_ends_a_save_that_waits(lora, output):
    before = content(output)
    program = ("import sys; from ferrule import _ferrule;"
               "_ferrule.convert(sys.argv[1], sys.argv[2], 'bin', '', 'safe', lambda *_: print('.', flush=True))")
    with Held(output):
        process = subprocess.Popen([sys.executable, "-c", program, lora, output], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode != 0 and "KeyboardInterrupt" in err
    assert content(output) == before and [path.name for path in output.parent.iterdir()] == ["output"]
