"""Small read-only pages for machines: Prometheus metrics and the health check, one port each."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from threading import Lock, Thread
from typing import Any

from collector.config.parts import Endpoint
from collector.errors import CannotListen
from collector.exposition import OPENMETRICS_TYPE, TEXT_TYPE, wants_openmetrics
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)

CONNECTION_SECONDS = 10.0
"""From connecting to the last byte of the answer; then the client is cut, whatever it is doing. A page takes
milliseconds, and every connection holds a thread."""
MAX_CONNECTIONS = 32
"""Open connections, each with a thread. When there are more, the oldest gives way: whoever asks for one page is long
gone, so it is one that does not read or does not speak."""
METRICS_PATH = "/metrics"
HEALTH_PATH = "/"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer to GET."""

    status: HTTPStatus
    content_type: str
    body: str


Pages = Mapping[str, Callable[[str], Page]]
"""Path -> what makes the page for an `Accept` header."""


class ProbeServer:
    """Serves a few pages at one endpoint from threads of its own, one page a connection.

    `digests`: SHA-256 of tokens, one of which has to be shown (`Authorization: Bearer TOKEN`); none: nobody is asked.
    """

    def __init__(self, name: str, endpoint: Endpoint, pages: Pages, digests: Collection[bytes] = ()) -> None:
        self._name = name
        self._endpoint = endpoint
        self._pages = pages
        self._digests = tuple(digests)
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    def start(self) -> Endpoint:
        """Listen; returns the address, with the port that the system chose where 0 was asked for.

        Raises:
            CannotListen: the address is taken or not of this machine.
        """
        try:
            handler = _handler(self._pages, self._digests)
            server = _server_class(self._endpoint)((self._endpoint.host, self._endpoint.port), handler)
        except OSError as error:
            raise CannotListen(f"{self._name}: cannot listen on {self._endpoint}: {error.strerror or error}") from None
        self._server = server
        self._thread = Thread(target=server.serve_forever, args=(0.1,), name=f"otel-cost-{self._name}", daemon=True)
        self._thread.start()
        return Endpoint(self._endpoint.host, server.server_port)

    def stop(self) -> None:
        """Stop listening; clients that are still there are cut."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None


def metrics_pages(telemetry: Telemetry) -> Pages:
    """`/metrics` in OpenMetrics for whoever prefers it, as Prometheus does, else in Prometheus' text format."""

    def metrics(accept: str) -> Page:
        openmetrics = wants_openmetrics(accept)
        content_type = OPENMETRICS_TYPE if openmetrics else TEXT_TYPE
        return Page(HTTPStatus.OK, content_type, telemetry.render(openmetrics=openmetrics))

    return {METRICS_PATH: metrics}


def health_pages(why_unhealthy: Callable[[], str | None]) -> Pages:
    """`/`: 200 while spans are taken, else 503 with the reason. The shape is that of the OpenTelemetry Collector."""
    started_seconds = time.time()

    def health(_: str) -> Page:
        reason = why_unhealthy()
        up_seconds = round(time.time() - started_seconds, 3)
        body = {"status": reason or "Server available", "uptime_seconds": up_seconds}
        status = HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK
        return Page(status, "application/json", json.dumps(body))

    return {HEALTH_PATH: health}


class _Connections:
    """The open ones, oldest first, with when they have to end. Called by the accepting thread and by each of theirs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[socket, float] = {}

    def add(self, connection: socket) -> None:
        """One was accepted."""
        with self._lock:
            if len(self._until) >= MAX_CONNECTIONS:
                oldest = next(iter(self._until))
                del self._until[oldest]
                _cut(oldest)
            self._until[connection] = time.monotonic() + CONNECTION_SECONDS

    def remove(self, connection: socket) -> None:
        """One is about to be closed."""
        with self._lock:
            self._until.pop(connection, None)

    def cut(self, now: float) -> None:
        """Ends those whose time is over at `now`."""
        with self._lock:
            for connection in [one for one, until in self._until.items() if until < now]:
                _cut(connection)


def _cut(connection: socket) -> None:
    """Wakes its thread, which then closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(SHUT_RDWR)


def _server_class(endpoint: Endpoint) -> type[ThreadingHTTPServer]:
    family = AF_INET6 if ":" in endpoint.host else AF_INET
    connections = _Connections()

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        block_on_close = False
        request_queue_size = 4 * MAX_CONNECTIONS  # with the 5 of the library, a burst makes others wait for seconds

        def process_request(self, request: Any, client_address: Any) -> None:
            connections.add(request)
            super().process_request(request, client_address)

        def shutdown_request(self, request: Any) -> None:
            connections.remove(request)
            super().shutdown_request(request)

        def service_actions(self) -> None:
            connections.cut(time.monotonic())

        def server_close(self) -> None:
            super().server_close()
            connections.cut(inf)

        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), OSError):  # a client that left is not worth a log line
                logger.exception("a page could not be served to %s", client_address)

    return Server


_UNAUTHORIZED = Page(HTTPStatus.UNAUTHORIZED, "text/plain", "a known token is needed: Authorization: Bearer TOKEN\n")


def _not_found(_: str) -> Page:
    return Page(HTTPStatus.NOT_FOUND, "text/plain", "not found\n")


def _is_known(said: str, digests: Sequence[bytes]) -> bool:
    """Whether an Authorization header shows one of the tokens (RFC 6750, 2.1)."""
    scheme, _, token = said.partition(" ")
    shown = sha256(token.strip().encode("latin-1")).digest()
    return scheme.lower() == "bearer" and any(hmac.compare_digest(shown, digest) for digest in digests)


def _handler(pages: Pages, digests: Sequence[bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CONNECTION_SECONDS
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if digests and not _is_known(self.headers.get("Authorization", ""), digests):
                self._answer(_UNAUTHORIZED)
                return
            page = pages.get(self.path.partition("?")[0], _not_found)
            try:
                answer = page(self.headers.get("Accept", ""))
            except Exception:
                logger.exception("the page %s could not be made", self.path)
                answer = Page(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", "this page could not be made\n")
            self._answer(answer)

        def _answer(self, page: Page) -> None:
            self.close_connection = True
            body = page.body.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            if page.status is HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds; they are not worth a log line."""

    return Handler
