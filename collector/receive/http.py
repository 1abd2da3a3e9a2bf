"""OTLP over HTTP: POST /v1/traces in protobuf or JSON, gzip or deflate or plain; HTTP/1.1, with or without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from collector.errors import CannotListen
from collector.receive import bounds
from collector.receive.config import ReceiverConfig
from collector.receive.connection import Endpoint, HttpConnection
from collector.receive.descriptors import max_connections
from collector.receive.handshake import TlsServer
from collector.receive.intake import Intake, Observe, Submit, ignore
from collector.receive.senders import Identify, anybody
from collector.tls import server_context

_BACKLOG = 1024
"""Connections that the system holds until they are taken; more are refused by it, and their clients try again."""

_LOOK_SECONDS = 0.02
"""When stopping, how often connections are looked at."""


class HttpReceiver:
    """An HTTP server on the running event loop. `start` binds, `stop` drains."""

    def __init__(
        self,
        config: ReceiverConfig,
        submit: Submit,
        identify: Identify = anybody,
        observe: Observe = ignore,
    ) -> None:
        self._config = config
        self._intake = Intake(config, "http", submit, identify, observe)
        self._endpoint: Endpoint | None = None
        self._server: asyncio.Server | TlsServer | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The bound port; 0 before `start`."""
        return self._port

    async def start(self) -> None:
        """Raises `CannotListen`."""
        context = server_context(self._config.tls) if self._config.tls else None
        listener = _bind(self._config)
        loop = asyncio.get_running_loop()
        endpoint = Endpoint(self._intake, loop, max_connections())
        if context is None:
            self._server = await loop.create_server(lambda: HttpConnection(endpoint), sock=listener, backlog=_BACKLOG)
        else:
            self._server = TlsServer(endpoint, context, listener)
        self._port = listener.getsockname()[1]
        self._endpoint = endpoint
        self._sweep(endpoint)

    async def stop(self, deadline_seconds: float) -> None:
        """Takes nothing new, waits for the answers under way, and cuts what is left at the deadline."""
        self._intake.draining = True
        server, endpoint = self._server, self._endpoint
        if server is None or endpoint is None or self._sweeping is None:
            return
        server.close()
        self._sweeping.cancel()
        for peer in list(endpoint.peers):
            peer.drain()
        await self._drained(endpoint, endpoint.loop.time() + deadline_seconds)
        for peer in list(endpoint.peers):
            peer.abort()
        await endpoint.empty.wait()
        await asyncio.sleep(0)  # the loop closes what was cut when it comes round
        self._server = self._endpoint = None

    async def _drained(self, endpoint: Endpoint, deadline: float) -> None:
        """Returns at the deadline, or so long after the last answer as its reader may take."""
        answered_at: float | None = None
        while endpoint.peers and (now := endpoint.loop.time()) < deadline:
            if not self._intake.idle.is_set():
                answered_at = None
            elif answered_at is None:
                answered_at = now
            elif now - answered_at > bounds.CLOSE_SECONDS:
                return
            for peer in list(endpoint.peers):
                peer.check(now)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(endpoint.empty.wait(), _LOOK_SECONDS)

    def _sweep(self, endpoint: Endpoint) -> None:
        now = endpoint.loop.time()
        endpoint.encoder.refresh()
        for peer in list(endpoint.peers):
            peer.check(now)
        self._sweeping = endpoint.loop.call_later(bounds.SWEEP_SECONDS, self._sweep, endpoint)


def _bind(config: ReceiverConfig) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"HTTP endpoint {config.host}:{config.port}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(f"HTTP endpoint {config.host}:{config.port}: {error.strerror}") from error
    return listener
