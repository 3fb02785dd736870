# SPDX-License-Identifier: Apache-2.0
"""Ways for a server to fail. Each is a function of an Exchange; Faults says which request meets which."""
import re
import threading

from .wire import PIECE, Response, json_response


class Faults:
    """Rules in the order added; each is used up after `times` requests (None: never)."""

    def __init__(self):
        self._rules, self._lock = [], threading.Lock()

    def add(self, method, target, fault, *, times=1, skip=0, origin=None):
        """The requests of `method` ("*": any) whose target matches the expression `target`, after the first `skip`."""
        rule = {"method": method, "target": re.compile(target), "fault": fault, "left": times, "skip": skip, "origin": origin, "met": 0}
        with self._lock:
            self._rules.append(rule)
        return rule

    def take(self, request):
        with self._lock:
            for rule in self._rules:
                if rule["left"] == 0 or rule["method"] not in ("*", request.method):
                    continue
                if rule["origin"] not in (None, request.origin) or not rule["target"].search(request.target):
                    continue
                if rule["skip"]:
                    rule["skip"] -= 1
                    continue
                if rule["left"] is not None:
                    rule["left"] -= 1
                rule["met"] += 1
                return rule["fault"]
        return None

    def clear(self):
        with self._lock:
            self._rules.clear()


def status(code, message="injected", headers=None):
    """The answer is `code`, and nothing is done."""
    return lambda x: x.send(json_response({"error": message}, code, dict(headers or {})))


def reply(response):
    """The answer is `response`, or what the function `response` makes of the request."""
    return lambda x: x.send(response(x.request) if callable(response) else response)


def html(code=200, text="<!DOCTYPE html><html><body>Sign in to the network</body></html>"):
    """A page of a hotel's network."""
    return lambda x: x.send(Response(code, text.encode(), {"Content-Type": "text/html; charset=utf-8"}))


def reset():
    """The connection is reset before a reply."""
    return lambda x: x.reset()


def reset_early():
    """The connection is reset before the request's body is read."""
    fault = reset()
    fault.before_body = True
    return fault


def close():
    """The connection is closed before a reply."""
    return lambda x: x.close()


def garbage(text=b"\x16\x03\x01 this is no HTTP\r\n\r\n"):
    def fault(x):
        x.handler.wfile.write(text)
        x.close()

    return fault


def lost_reply():
    """What was asked is done; the reply never arrives."""

    def fault(x):
        x.request.status = -x.answer().status
        x.reset()

    return fault


def done_but(code, message="The server timed out", headers=None):
    """What was asked is done; the reply says that it was not."""

    def fault(x):
        x.answer()
        x.send(json_response({"error": message}, code, dict(headers or {})))

    return fault


def cut(after, how="reset"):
    """The body ends after `after` bytes, with RST or a plain close."""

    def fault(x):
        x.send(x.answer(), limit=after)
        x.handler.wfile.flush()
        x.wait(0.05)  # An RST overtakes what the peer has not read.
        x.reset() if how == "reset" else x.close()

    return fault


def stall(after=None, seconds=60):
    """Nothing more comes: before the reply (None), or after `after` bytes of the body."""

    def fault(x):
        if after is None:
            x.wait(seconds)
            return x.close()
        x.send(x.answer(), limit=after)
        x.wait(seconds)
        return x.close()

    return fault


def meet(count, seconds=20):
    """Waits for `count` such requests to be in flight at once; the answer of one that waits in vain is 418."""
    barrier = threading.Barrier(count)

    def fault(x):
        try:
            barrier.wait(seconds)
        except threading.BrokenBarrierError:
            return x.send(json_response({"error": "nobody came"}, 418))
        return x.send(x.answer())

    return fault


def slow(piece, pause):
    """The body comes in pieces of `piece` bytes, `pause` seconds apart."""

    def fault(x):
        response = x.answer()
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)

        def trickle():
            for i in range(0, len(body), piece):
                yield body[i : i + piece]
                x.handler.wfile.flush()
                x.wait(pause)

        x.send(Response(response.status, trickle(), response.headers, len(body)))

    return fault


def flip(at):
    """The byte at `at` of the body is wrong."""

    def fault(x):
        response = x.answer()
        body = bytearray(response.body if isinstance(response.body, (bytes, bytearray)) else b"".join(response.body))
        body[at] ^= 0x40
        x.send(Response(response.status, bytes(body), response.headers))

    return fault


def edit(change):
    """The true answer after `change(response)`."""

    def fault(x):
        response = x.answer()
        x.send(change(response) or response)

    return fault


def without_headers(*names):
    lower = {name.lower() for name in names}
    return edit(lambda r: Response(r.status, r.body, {k: v for k, v in r.headers.items() if k.lower() not in lower}, r.length))


def with_headers(**headers):
    """Underscores stand for dashes."""
    return edit(lambda r: Response(r.status, r.body, {**r.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}, r.length))


def ignore_range():
    """The whole body, although a part was asked for."""

    def fault(x):
        del x.request.headers["Range"]
        x.send(x.answer())

    return fault


def endless(pattern, total, content_type="application/json", declare=False, code=200, headers=None):
    """A body of `total` bytes made of `pattern`; the client should have had enough long before."""
    block = (pattern * (PIECE // len(pattern) + 1))[:PIECE]

    def fault(x):
        def pieces():
            for _ in range(total // PIECE):
                yield block

        length = total // PIECE * PIECE if declare else None
        x.send(Response(code, pieces(), {"Content-Type": content_type, **(headers or {})}, length))

    return fault


def deep_json(depth):
    """Brackets within brackets."""
    return lambda x: x.send(Response(200, b"[" * depth + b"]" * depth, {"Content-Type": "application/json"}))


def redirect(location, code=302):
    """`location` may be a function of the request."""
    return lambda x: x.send(Response(code, b"", {"Location": location(x.request) if callable(location) else location}))
