"""A function of a request, served on 127.0.0.1 until the block ends: no port chosen, no thread left behind."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked."""

    method: str
    path: str  # without the query
    query: Mapping[str, tuple[str, ...]]
    body: bytes = b""
    content_type: str = ""

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, (default,))[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    body: Any  # sent as JSON; None: nothing
    hold_s: float = 0.0  # the connection stays open so long after the headers, as a watch does


Answer = Callable[[Request], Reply]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The base URL under which `answer` is asked, on a free port. All threads have ended when the block has."""
    server = _Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="demo stand-in")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0: the connection ends with the answer, so that none is left open when the server closes.
    protocol_version = "HTTP/1.0"

    def _reply(self) -> None:
        server = cast(_Server, self.server)
        reply = server.answer(self._request())
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        if reply.body is not None:
            self.wfile.write(json.dumps(reply.body, separators=(",", ":")).encode())
        if reply.hold_s:
            self.wfile.flush()
            server.closing.wait(reply.hold_s)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _reply  # noqa: N815 - the standard library's names

    def _request(self) -> Request:
        url = urlsplit(self.path)
        query = {name: tuple(values) for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return Request(self.command, url.path, query, body, self.headers.get("Content-Type", ""))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Says nothing: the demo's own output is for people."""
