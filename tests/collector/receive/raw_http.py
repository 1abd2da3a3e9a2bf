"""HTTP on raw sockets, for tests of what a client may do and what it cannot do to others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
import uvloop

from collector.receive import ReceiverConfig
from collector.receive.status import PROTOBUF
from tests.collector.receive.support import Running, request_of

BODY = request_of(["a", "b"]).SerializeToString()
ANYWHERE = ReceiverConfig("127.0.0.1", 0)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def head(*lines: str, method: str = "POST", path: str = "/v1/traces", media_type: str = PROTOBUF) -> bytes:
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", f"Content-Type: {media_type}", *lines, "", ""]).encode()


def post(body: bytes = BODY, *lines: str) -> bytes:
    """A whole request."""
    return head(f"Content-Length: {len(body)}", *lines) + body


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Answers:
    """Reads answers one after the other."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._read = b""

    def line(self) -> str:
        """The next line, without its end."""
        while b"\r\n" not in self._read:
            self._more()
        line, _, self._read = self._read.partition(b"\r\n")
        return line.decode()

    def next(self, method: str = "POST") -> Answer:
        """The next answer, to a request of that method."""
        status = int(self.line().split()[1])
        headers = dict(line.split(": ", 1) for line in iter(self.line, ""))
        size_bytes = 0 if method == "HEAD" else int(headers["content-length"])
        while len(self._read) < size_bytes:
            self._more()
        body, self._read = self._read[:size_bytes], self._read[size_bytes:]
        return Answer(status, headers, body)

    def _more(self) -> None:
        part = self._client.recv(65536)
        assert part, "the connection was closed"
        self._read += part


def codes(client: socket.socket, number: int) -> list[int]:
    """The codes of the next answers."""
    answers = Answers(client)
    return [answers.next().status for _ in range(number)]


def is_closed(client: socket.socket) -> bool:
    """Whether our end closes the connection."""
    with contextlib.suppress(ConnectionError):
        while client.recv(65536):
            pass
    return True


def send(receivers: Running, body: bytes) -> int:
    """The code that an ordinary client gets."""
    return requests.post(receivers.url(), data=body, headers={"content-type": PROTOBUF}, timeout=60).status_code


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread brings about."""
    deadline_seconds = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_seconds
        time.sleep(0.005)


def send_what_is_taken(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)
