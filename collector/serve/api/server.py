"""uvicorn within the collector: on its event loop, under its signals."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from collector.config.parts import Endpoint
from collector.errors import CannotListen

STOP_SECONDS = 2
"""For answers that are under way when the collector stops. A page that listens for news would stay for ever."""
MAX_CONNECTIONS = 4096
"""Kept ones too, and a guard keeps one for each thread of its app that asks; at most a sixth of the open files that a
process may have. Requests over more are told to come again (503). More: idle ones take some 20 KB each, busy ones 100.
Fewer: calls of a large app are made unasked, or refused."""


class _Server(uvicorn.Server):
    """One that leaves signals to the collector."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """Serves an app at one endpoint. `start()` and `stop()` run on the event loop that answers."""

    def __init__(self, endpoint: Endpoint, app: ASGIApp, tls: ssl.SSLContext | None = None) -> None:
        self._endpoint = endpoint
        self.app = app
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_most_connections(),
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    async def start(self) -> Endpoint:
        """Listen; returns the address, with the port that the system chose where 0 was asked for.

        Raises:
            CannotListen: the address is taken or not of this machine.
        """
        try:
            self._socket = _listening(self._endpoint)
        except OSError as error:
            raise CannotListen(f"api: cannot listen on {self._endpoint}: {error.strerror or error}") from None
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="api")
        return Endpoint(self._endpoint.host, self._socket.getsockname()[1])

    async def stop(self) -> None:
        """Answer what is under way, for a moment, and stop listening."""
        if self._task is not None:
            self._server.should_exit = True
            await self._task
            self._task = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _listening(endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's delay on
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((endpoint.host, endpoint.port))
        found.listen(1024)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found


def _most_connections() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if descriptors == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, descriptors // 6)
