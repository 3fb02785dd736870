# SPDX-License-Identifier: Apache-2.0
"""Tokens, endpoints and proxies: as huggingface_hub has them, and never where they do not belong."""
import os

import pytest
from adapters import content
from emulator import faults
from test_pull import host, pull


def used(stage):
    """The token of the requests to the Hub, "" for none; one for all."""
    found = {r.headers.get("Authorization", "").removeprefix("Bearer ") for r in stage.hub.requests(origin="hub")}
    assert len(found) == 1, found
    return found.pop()


FILE_CASES = {
    "HF_TOKEN": {"HF_TOKEN": "{a}"},
    "older name": {"HUGGING_FACE_HUB_TOKEN": "{a}"},
    "HF_TOKEN first": {"HF_TOKEN": "{a}", "HUGGING_FACE_HUB_TOKEN": "{b}", "file": "{b}"},
    "older name before the file": {"HUGGING_FACE_HUB_TOKEN": "{a}", "file": "{b}"},
    "file": {"file": "{a}"},
    "file with a newline": {"file": "{a}\n"},
    "file with CRLF and spaces": {"file": "  {a} \r\n"},
    "HF_TOKEN with a newline": {"HF_TOKEN": "{a}\n"},
    "empty HF_TOKEN": {"HF_TOKEN": "", "file": "{a}"},
    "HF_TOKEN_PATH": {"HF_TOKEN_PATH": "{p}"},
}


@pytest.mark.parametrize("case", FILE_CASES)
def test_where_the_token_comes_from_is_as_in_python(stage, case):
    host(stage)
    names = {"a": stage.token, "b": stage.hub.world.add_token("ann"), "p": str(stage.folder / "my-token")}
    (stage.folder / "my-token").write_text(stage.token)
    env = {"HF_TOKEN": None, **{name: value.format(**names) for name, value in FILE_CASES[case].items()}}
    if "file" in env:
        (stage.home / "token").write_text(env.pop("file"))
    pull(stage, "ann/a", **env)
    assert used(stage) == stage.token
    stage.hub.clear_log()
    assert stage.python("from huggingface_hub import get_token\nprint(json.dumps(get_token()))", **env) == stage.token
    stage.outputs.clear()  # this one printed it on purpose


def test_no_implicit_token(stage):
    host(stage)
    pull(stage, "ann/a", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
    assert used(stage) == ""


@pytest.mark.parametrize("token", ["hf_a b", "hf_a\nX-Evil: 1", "hf_\x7f", "hf_ü"])
def test_a_token_that_is_no_header_is_refused_unprinted(stage, token):
    host(stage)
    done = stage.ferrule("pull", "ann/a", "--json", code=3, HF_TOKEN=token)
    assert token not in done.out + done.err and not any("X-Evil" in r.headers for r in stage.hub.requests())


def test_a_token_file_is_not_changed(stage):
    host(stage)
    (stage.home / "token").write_text(stage.token)
    os.chmod(stage.home / "token", 0o600)
    before = (stage.home / "token").stat()
    pull(stage, "ann/a", HF_TOKEN=None)
    after = (stage.home / "token").stat()
    assert (before.st_mtime_ns, before.st_mode, before.st_ino) == (after.st_mtime_ns, after.st_mode, after.st_ino)


def test_an_endpoint_with_a_slash(stage):
    host(stage)
    pull(stage, "ann/a", HF_ENDPOINT=stage.hub.url + "/")


def test_answers_that_speak_of_huggingface_co_stay_at_the_endpoint(stage):
    """A mirror passes on what the Hub says; its addresses mean the mirror's."""
    stage.hub.public_url = "https://huggingface.co"
    folder = stage.adapter()
    answer = stage.ferrule("push", folder, "ann/a", "--json").json
    assert stage.stored("ann/a") == content(folder) and answer["repo"] == "ann/a"
    assert stage.hub.requests("POST", "objects/verify")
    stage.hub.page_size = 2
    pull(stage, "ann/a")


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1/", "127.0.0.1:80", "http://", "file:///tmp", "http://user:pw@127.0.0.1:9"])
def test_an_endpoint_that_is_none(stage, endpoint):
    stage.ferrule("pull", "ann/a", code=None, HF_ENDPOINT=endpoint, limit=90)
    assert stage.hub.requests() == []


def test_a_proxy_is_used(stage):
    """The stranger's origin stands in for a proxy: it is asked for the Hub's full address."""
    host(stage)
    proxy = stage.hub.elsewhere.url
    stage.ferrule("pull", "ann/a", code=3, HF_ENDPOINT="http://hub.example", http_proxy=proxy, NO_PROXY=None, HF_TOKEN=None)
    assert any("hub.example" in r.target for r in stage.hub.requests(origin="elsewhere"))


def test_verbose_output_masks_the_token(stage):
    folder = stage.adapter()
    stage.ferrule("push", folder, "ann/a", HF_DEBUG="1", HF_HUB_VERBOSITY="debug")
    pull(stage, "ann/a", HF_DEBUG="1")


@pytest.mark.parametrize("echo", ["message", "header", "request-id"])
def test_a_server_that_echoes_the_token_does_not_get_it_printed(stage, echo):
    host(stage)

    def fault(exchange):
        said = exchange.request.headers.get("Authorization", "")
        headers = {"X-Error-Message": said} if echo == "header" else {"X-Request-Id": said} if echo == "request-id" else {}
        exchange.send(faults.Response(400, f'{{"error": "bad header {said}"}}'.encode(), {"Content-Type": "application/json", **headers}))

    stage.hub.faults.add("*", ".", fault, times=None)
    for options in ([], ["--json"]):
        stage.ferrule("pull", "ann/a", *options, code=3)


def test_escapes_in_the_servers_words_are_made_safe(stage):
    host(stage)
    stage.hub.faults.add("*", ".", faults.status(403, "\x1b[2J\x07 gone \u202e"), times=None)
    done = stage.ferrule("pull", "ann/a", code=3)
    assert not set("\x1b\x07\u202e") & set(done.out + done.err)


def test_warnings_of_the_hub_are_shown_once(stage):
    host(stage)
    stage.hub.faults.add("GET", ".", faults.with_headers(X_HF_Warning="Auth; please rename"), times=None)
    done = stage.ferrule("pull", "ann/a")
    assert (done.out + done.err).count("please rename") == 1


def test_without_libcurl_only_the_network_is_missing(stage):
    """libcurl is loaded when it is first needed."""
    host(stage)
    libraries = stage.folder / "libraries"
    libraries.mkdir()
    for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
        (libraries / name).write_bytes(b"")
    stage.ferrule("--version", LD_LIBRARY_PATH=libraries)
    done = stage.ferrule("pull", "ann/a", "--json", code=3, LD_LIBRARY_PATH=libraries)
    assert done.json["error"]["kind"] == "network" and "libcurl.so.4" in done.json["error"]["message"]
