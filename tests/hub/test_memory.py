# SPDX-License-Identifier: Apache-2.0
"""Whatever the server sends, the command stays below 64 MiB."""
import gzip
import os
import subprocess

import pytest
from adapters import content
from conftest import FERRULE
from emulator import faults
from test_pull import host

LIMIT = 64 << 20
HUGE = 200 << 20


def peak(stage, *arguments, limit=90):
    """(exit status, most memory used, in bytes)."""
    import time

    process = subprocess.Popen([FERRULE, *map(str, arguments)], env=stage.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + limit
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage.ru_maxrss << 10
        if time.monotonic() > end:
            process.kill()
            process.wait()
            pytest.fail(f"still running after {limit} s")
        time.sleep(0.01)


BODIES = {
    "list": lambda: faults.endless(b'{"a":1},', HUGE),
    "string": lambda: faults.endless(b"a", HUGE),
    "declared": lambda: faults.endless(b"[", HUGE, declare=True),
    "error": lambda: faults.endless(b"x", HUGE, code=404),
    "server-error": lambda: faults.endless(b"<p>", HUGE, "text/html", code=500),
    "redirect": lambda: faults.endless(b"x", HUGE, code=302, headers={"Location": "/x"}),
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("step", ["/api/models/ann/a", "/tree/"])
def test_huge_answers_to_a_pull(stage, step, body):
    host(stage)
    stage.hub.faults.add("GET", step, BODIES[body](), times=None)
    code, most = peak(stage, "pull", "ann/a")
    assert code == 3 and most < LIMIT


@pytest.mark.parametrize("step", ["/repos/create", "/preupload/", "objects/batch", "objects/verify", "/commit/", "validate-yaml"])
def test_huge_answers_to_a_push(stage, step):
    stage.hub.faults.add("POST", step, BODIES["list"](), times=None)
    code, most = peak(stage, "push", stage.adapter(), "ann/a")
    assert code in (0, 3) and most < LIMIT


def test_a_huge_answer_of_the_storage(stage):
    stage.hub.faults.add("PUT", "/lfs/", BODIES["string"](), times=None)
    assert peak(stage, "push", stage.adapter(), "ann/a")[1] < LIMIT


def test_a_file_that_does_not_end(stage):
    host(stage)
    stage.hub.faults.add("GET", "/cdn/", faults.endless(b"x", HUGE, "application/octet-stream"), times=None)
    code, most = peak(stage, "pull", "ann/a")
    assert code in (1, 3) and most < LIMIT
    assert sum(p.stat().st_size for p in stage.cache.rglob("*") if p.is_file() and not p.is_symlink()) < 10 << 20


def test_a_compressed_bomb(stage):
    host(stage)
    bomb = gzip.compress(b"[" * (100 << 20), 9)
    stage.hub.faults.add("GET", "/api/", faults.reply(faults.Response(200, bomb, {"Content-Encoding": "gzip", "Content-Type": "application/json"})), times=None)
    code, most = peak(stage, "pull", "ann/a")
    assert code == 3 and most < LIMIT


def test_headers_without_end(stage):
    host(stage)

    def fault(exchange):
        out = exchange.handler.wfile
        out.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(400_000):
            out.write(b"X-H%d: %s\r\n" % (number, b"y" * 200))
        exchange.close()

    stage.hub.faults.add("GET", "/api/", fault, times=None)
    code, most = peak(stage, "pull", "ann/a")
    assert code == 3 and most < LIMIT


def test_many_pages(stage):
    """A listing of a hundred thousand files, page by page, is refused or stays small."""
    host(stage, files={"f.txt": b"x"})
    entry = '{"type":"file","oid":"%s","size":1,"path":"%08d"}'
    served = [0]

    def fault(exchange):
        first = served[0]
        served[0] += 1000
        body = "[" + ",".join(entry % ("0" * 40, n) for n in range(first, first + 1000)) + "]"
        exchange.send(faults.Response(200, body.encode(), {"Content-Type": "application/json",
                                                           "Link": f'<{stage.hub.url}/api/models/ann/a/tree/main?cursor={first}>; rel="next"'}))

    stage.hub.faults.add("GET", "/tree/", fault, times=None)
    code, most = peak(stage, "pull", "ann/a")
    assert code == 3 and most < LIMIT


def test_a_large_adapter_is_streamed_both_ways(stage):
    folder = stage.adapter(layers=24, hidden=8192, rank=16)
    assert (folder / "adapter_model.safetensors").stat().st_size > 45 << 20
    code, most = peak(stage, "push", folder, "ann/a")
    assert code == 0 and most < LIMIT
    code, most = peak(stage, "pull", "ann/a")
    assert code == 0 and most < LIMIT
    assert content(stage.cache / "models--ann--a" / "snapshots" / stage.hub.repo("ann/a").head().oid)["adapter_model.safetensors"] == (
        folder / "adapter_model.safetensors").read_bytes()
