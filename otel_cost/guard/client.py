"""The collector's budget API over HTTP: one kept connection per thread, short timeouts, and no call while it is down.

The protocol is docs/budgets-protocol.md. Nothing of it passes through our own hooks: the standard library's client is
not among the hooked, and other instrumentations are told to stay out.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context as otel_context

CONNECT_SECONDS = 0.5
"""Longest wait for a connection. Less, and a busy collector on another host counts as gone; more, and a host that is
switched off holds up the first call."""
ANSWER_SECONDS = 2.0
"""Longest wait for each part of an answer; a lease takes milliseconds."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 5.0
"""After a failure nobody asks for so long, then for twice as long, and so on: a collector that is down costs nothing
per call, and is noticed within the longest pause when it is back."""
MAX_ANSWER_BYTES = 2**20
"""An answer is some hundred bytes; a larger one is no answer of ours."""

_SUPPRESSED = "suppress_instrumentation"
_Sent = tuple[int, bytes]


class Unreachable(Exception):
    """No answer from the collector: refused, timed out, in a pause, or an answer that is none."""


class Rejected(Exception):
    """The collector refused the request itself: another version of the protocol, or a wrong token."""


class _Kept:
    """A connection that is closed when its thread ends, without a word."""

    __slots__ = ("connection",)

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class Client:
    """Asks one collector; safe to use from many threads. Connects when first asked."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address of a collector")
        self._is_https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/") + "/api/v1/budgets/"
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self.forget()

    def forget(self) -> None:
        """In a forked child: connections are the parent's, which goes on to use them."""
        self._threads = threading.local()
        self._asks_again_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    @property
    def is_paused(self) -> bool:
        """Whether nothing is asked for now, since nobody answered."""
        return monotonic() < self._asks_again_at

    def post(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of `POST /api/v1/budgets/<what>`.

        Raises:
            Unreachable, Rejected: there is none.
        """
        if self.is_paused:
            raise Unreachable("nobody answered a moment ago")
        token = otel_context.attach(otel_context.set_value(_SUPPRESSED, True))
        try:
            status, answered = self._exchange(self._prefix + what, json.dumps(body).encode())
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
                raise Unreachable(f"HTTP {status}")
            found = json.loads(answered)
            if not isinstance(found, dict):
                raise Unreachable("an answer that is no object")
        except (OSError, http.client.HTTPException, ValueError, RecursionError, Unreachable) as error:
            self._pause()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        finally:
            otel_context.detach(token)
        self._pause_seconds = FIRST_PAUSE_SECONDS
        if status >= HTTPStatus.BAD_REQUEST:
            raise Rejected(f"HTTP {status}: {str(found.get('error'))[:500]}")
        return found

    def _close(self) -> None:
        kept: _Kept | None = getattr(self._threads, "kept", None)
        if kept is not None:
            kept.connection.close()  # at once: what was raised may hold on to it
            self._threads.kept = None

    def _pause(self) -> None:
        self._close()
        if not self.is_paused:  # of many threads that fail together, one makes the next pause longer
            self._asks_again_at = monotonic() + self._pause_seconds
            self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _exchange(self, path: str, body: bytes) -> _Sent:
        """One request and its answer; once more on a new connection, if the kept one was closed meanwhile."""
        kept: _Kept | None = getattr(self._threads, "kept", None)
        if kept is not None:
            try:
                return self._send(kept.connection, path, body)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._close()
        kept = self._threads.kept = _Kept(self._connect())
        return self._send(kept.connection, path, body)

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _send(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> _Sent:
        connection.request("POST", path, body, self._headers)
        answer = connection.getresponse()
        answered = answer.read(MAX_ANSWER_BYTES + 1)
        if len(answered) > MAX_ANSWER_BYTES:
            raise Unreachable("an answer that is too long")
        return answer.status, answered
