"""The TLS handshake in front of an HTTP connection: bounded in time, and its failures counted."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from collector.errors import MalformedRequest, StalledRequest
from collector.receive import bounds
from collector.receive.connection import Endpoint, HttpConnection


class Handshake(asyncio.Protocol):
    """Becomes an `HttpConnection` when the handshake is done. A client that leaves amid it is not worth a word."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        self._endpoint = endpoint
        self._context = context
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._endpoint.joined(self)
        if self._endpoint.is_full() or self._endpoint.intake.draining:
            self.abort()
            self._endpoint.left(self)
            return
        self._transport.pause_reading()  # what the client has said already is for the handshake
        self._shaking = self._endpoint.loop.create_task(self._shake(), name="otlp-tls")

    def check(self, now: float) -> None:
        """The handshake has a clock of its own."""

    def drain(self) -> None:
        """No request is under way before the handshake is done."""
        self.abort()

    def abort(self) -> None:
        """Cuts the connection."""
        self._transport.abort()

    async def _shake(self) -> None:
        early = _Early()
        try:
            transport = await self._endpoint.loop.start_tls(
                self._transport,
                early,
                self._context,
                server_side=True,
                ssl_handshake_timeout=bounds.HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=bounds.CLOSE_SECONDS,
            )
        except ssl.SSLError as error:
            self._endpoint.intake.refused(MalformedRequest(f"not a TLS client: {error.reason}"))
        except ConnectionAbortedError:
            self._endpoint.intake.refused(StalledRequest("the TLS handshake stopped"))
        except OSError:
            self.abort()  # it left
        else:
            if transport is not None and not early.lost:
                early.give_way(HttpConnection(self._endpoint), transport)
        finally:
            self._endpoint.left(self)


class _Early(asyncio.Protocol):
    """Keeps what arrives between the end of the handshake and the connection's taking over."""

    def __init__(self) -> None:
        self.lost = False
        self._data = bytearray()

    def data_received(self, data: bytes) -> None:
        self._data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def give_way(self, connection: HttpConnection, transport: asyncio.Transport) -> None:
        """Hands over."""
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._data:
            connection.data_received(bytes(self._data))
