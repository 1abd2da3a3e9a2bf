"""The TLS handshake in front of an HTTP connection: bounded in time, and its failures counted.

asyncio's own TLS server keeps failed handshakes to itself, so connections are accepted here and handed to it singly.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from collector.errors import MalformedRequest, StalledRequest
from collector.receive import bounds
from collector.receive.connection import Endpoint, HttpConnection


class TlsServer:
    """Accepts connections on a bound socket until it is closed."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, listener: socket.socket) -> None:
        self._endpoint = endpoint
        self._context = context
        self._listener = listener
        listener.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept nothing more."""
        self._endpoint.loop.remove_reader(self._listener)
        self._listener.close()

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            self._endpoint.loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """In one step: a connection that a cancelled task had accepted would belong to nobody."""
        try:
            accepted, _ = self._listener.accept()
        except BlockingIOError:  # it left already
            return
        except OSError:  # no file descriptor is free
            self._endpoint.loop.remove_reader(self._listener)
            self._endpoint.loop.call_later(bounds.ACCEPT_PAUSE_SECONDS, self._listen)
            return
        accepted.setblocking(False)
        Handshake(self._endpoint, self._context, accepted)


class Handshake:
    """Makes an accepted connection an `HttpConnection`. A client that leaves amid it is not worth a word."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, accepted: socket.socket) -> None:
        self._endpoint = endpoint
        self._context = context
        self._accepted = accepted
        endpoint.joined(self)
        self._shaking = endpoint.loop.create_task(self._shake(), name="otlp-tls")
        self._shaking.add_done_callback(self._over)

    def check(self, now: float) -> None:
        """The handshake has a clock of its own."""

    def drain(self) -> None:
        """No request is under way before the handshake is done."""
        self.abort()

    def abort(self) -> None:
        """Cuts the connection."""
        self._shaking.cancel()

    async def _shake(self) -> None:
        intake = self._endpoint.intake
        try:
            if self._endpoint.is_full(self._accepted.fileno()):
                self._accepted.close()
                return
            await self._endpoint.loop.connect_accepted_socket(
                lambda: HttpConnection(self._endpoint),
                self._accepted,
                ssl=self._context,
                ssl_handshake_timeout=bounds.HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=bounds.CLOSE_SECONDS,
            )
        except ssl.SSLError as error:
            intake.refused(MalformedRequest(f"not a TLS client: {error.reason}"))
        except ConnectionAbortedError:
            intake.refused(StalledRequest("the TLS handshake stopped"))
        except OSError:
            return

    def _over(self, shaking: asyncio.Task[None]) -> None:
        """Also when it was cut before it began."""
        self._endpoint.left(self)
        if shaking.cancelled() or shaking.exception() is not None:
            self._accepted.close()
