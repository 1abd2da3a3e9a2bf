"""A real HTTP server that remembers what it is sent, and answers as a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self


class Received(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]  # names in lower case
    payload: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.payload)


class Answer(NamedTuple):
    """What the server says; None as status: it hangs up without a word."""

    status: int | None = 200
    headers: Mapping[str, str] = MappingProxyType({})
    payload: bytes = b"ok"


class HttpReceiver:
    """`answer` decides by the number of requests so far, from 0."""

    def __init__(self, answer: Callable[[int], Answer] = lambda _: Answer(), port: int = 0) -> None:
        self.received: list[Received] = []
        self._answer = answer
        self._changed = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = receiver._take(Received(self.path, headers, payload))
                if answer.status is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.payload)))
                self.end_headers()
                self.wfile.write(answer.payload)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?team=a"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def wait_for(self, count: int, timeout_seconds: float = 20.0) -> list[Received]:
        """The requests, as soon as there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, timeout_seconds):
                raise AssertionError(f"{len(self.received)} requests came, not {count}")
            return list(self.received)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, received: Received) -> Answer:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            return self._answer(len(self.received) - 1)
