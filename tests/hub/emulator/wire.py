# SPDX-License-Identifier: Apache-2.0
"""HTTP for the emulator: requests, responses, and servers that keep a log and can be told to misbehave."""
import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 1 << 16
KEPT_BODY = 1 << 20  # of a request's body, for the log


@dataclasses.dataclass
class Request:
    """What came in. Also what the log keeps: `status` and `sent` are filled in once answered."""

    origin: str
    method: str
    target: str
    headers: object
    body: bytes = b""
    status: int = 0
    sent: int = 0
    when: float = 0.0

    def __post_init__(self):
        parts = urllib.parse.urlsplit(self.target)
        self.path = parts.path  # still percent-encoded: a revision is one segment
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))

    def json(self):
        return json.loads(self.body or b"{}")

    def __repr__(self):
        return f"{self.origin} {self.method} {self.target} -> {self.status}"


@dataclasses.dataclass
class Response:
    """What goes out. `body` is bytes, or an iterator of bytes together with `length` (None: until the end)."""

    status: int = 200
    body: object = b""
    headers: dict = dataclasses.field(default_factory=dict)
    length: int | None = None

    def declared(self):
        return len(self.body) if isinstance(self.body, (bytes, bytearray)) else self.length


class HttpError(Exception):
    """Ends a request with `status`; `code` is the Hub's X-Error-Code."""

    def __init__(self, status, message, code=None, headers=None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


def json_response(value, status=200, headers=None):
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


class Exchange:
    """One request and the connection it came by; what a fault is handed."""

    def __init__(self, handler, request, dispatch):
        self.handler, self.request, self._dispatch = handler, request, dispatch

    def answer(self):
        """Does what was asked and returns the Response, unsent."""
        return self._dispatch(self.request)

    def send(self, response, limit=None):
        """Sends `response`, or its head and the first `limit` bytes of its body."""
        self.request.status = response.status
        out = self.handler
        length = response.declared()
        out.send_response(response.status)
        for name, value in response.headers.items():
            for one in value if isinstance(value, list) else [value]:
                out.send_header(name, one)
        if not any(name.lower() == "content-length" for name in response.headers) and response.status not in (204, 304):
            if length is None:
                out.close_connection = True
                out.send_header("Connection", "close")
            else:
                out.send_header("Content-Length", str(length))
        out.end_headers()
        if self.request.method == "HEAD" or response.status in (204, 304):
            return
        body = response.body
        pieces = (body[i : i + PIECE] for i in range(0, len(body), PIECE)) if isinstance(body, (bytes, bytearray)) else body
        left = limit
        for piece in pieces:
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            if piece:
                out.wfile.write(piece)
                self.request.sent += len(piece)
            if left == 0:
                break
        out.wfile.flush()

    def reset(self):
        """Ends the connection with RST: what a crashed proxy does."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        """Ends the connection, without another byte."""
        self.handler.close_connection = True
        try:
            self.handler.wfile.flush()
            self.handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.handler.connection.close()

    def wait(self, seconds):
        """Sleeps, but no longer than the server lives."""
        self.handler.server.origin.stopping.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "emulator", ""
    disable_nagle_algorithm = True
    wbufsize = PIECE
    timeout = 120

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError, ValueError, OSError):
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def _chunks(self):
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self):
        origin = self.server.origin
        request = Request(origin.name, self.command, self.path, self.headers, when=time.monotonic())
        exchange = Exchange(self, request, origin.dispatch)
        origin.log.append(request)
        with origin.in_flight():
            self._answer(origin, request, exchange)

    def _answer(self, origin, request, exchange):
        fault = origin.faults.take(request)
        if fault is not None and getattr(fault, "before_body", False):
            return fault(exchange)
        request.body = self._body()
        if len(request.body) != int(self.headers.get("Content-Length") or len(request.body)):
            self.close_connection = True
            return None
        if fault is not None:
            return fault(exchange)
        return exchange.send(exchange.answer())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _serve


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        origin = self.origin
        import traceback

        origin.crashes.append(traceback.format_exc())


class Origin:
    """One scheme://host:port, its log, and the handler behind it."""

    def __init__(self, name, host, handle, faults, port=0):
        self.name, self.handle, self.faults = name, handle, faults
        self.log, self.crashes, self.stopping = [], [], threading.Event()
        self.now_in_flight = self.most_in_flight = 0
        self._counting = threading.Lock()
        self._server = _Server((host, port), _Handler)
        self._server.origin = self
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def in_flight(self):
        with self._counting:
            self.now_in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.now_in_flight)
        try:
            yield
        finally:
            with self._counting:
                self.now_in_flight -= 1

    def dispatch(self, request):
        try:
            response = self.handle(request)
        except HttpError as error:
            headers = {"X-Error-Message": error.message.replace("\n", " "), **error.headers}
            if error.code:
                headers["X-Error-Code"] = error.code
            response = json_response({"error": error.message}, error.status, headers)
        identity = request.headers.get("X-Amzn-Trace-Id")
        response.headers.setdefault("X-Request-Id", f"Root=1-{uuid.uuid4().hex[:8]}" + (f";{identity}" if identity else ""))
        return response

    def stop(self):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
