"""A loopback HTTP server that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs


class Reply(NamedTuple):
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    after_s: float = 0.0
    drip_s: float = 0.0  # between two bytes of the body; 0: all at once


class Request(NamedTuple):
    """One question."""

    path: str  # with what stands behind a question mark
    headers: dict[str, str]  # names in lower case
    form: dict[str, str]


def vector(*samples: tuple[dict[str, str], float], **more: Any) -> Reply:
    """An instant answer."""
    result = [{"metric": labels, "value": [1.0, str(value)]} for labels, value in samples]
    return Reply(body=_json({"status": "success", "data": {"resultType": "vector", "result": result}, **more}))


def matrix(**more: Any) -> Reply:
    """A range answer without series."""
    return Reply(body=_json({"status": "success", "data": {"resultType": "matrix", "result": []}, **more}))


def error(status: int, text: str) -> Reply:
    """An error as Prometheus words it."""
    return Reply(status, _json({"status": "error", "errorType": "execution", "error": text}))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _pieces(reply: Reply) -> list[bytes]:
    return [bytes([byte]) for byte in reply.body] if reply.drip_s else [reply.body]


class Stub:
    """Gives the replies in turn, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies: Sequence[Reply] = replies
        self.asked: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                reply = stub.replies[min(len(stub.asked), len(stub.replies) - 1)]
                stub.asked.append(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, form))
                time.sleep(reply.after_s)
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                with suppress(ConnectionError):  # whoever asked may have hung up
                    self.end_headers()
                    for piece in _pieces(reply):
                        self.wfile.write(piece)
                        time.sleep(reply.drip_s)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
                return

        return Handler
