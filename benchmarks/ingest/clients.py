"""Connections of the load generator: they send bodies that are bytes already, and hardly look at answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, cast

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAX_MESSAGE_BYTES = 64 << 20
ANSWER_SECONDS = 60.0
_LATER_HTTP = frozenset((429, 502, 503, 504))
_LATER_GRPC = frozenset((grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED))


class RefusedError(Exception):
    """The server said no, and will say so again."""


class LaterError(Exception):
    """The server asks to send the same again later."""


class LostError(Exception):
    """The connection went before the answer: nobody knows whether the spans were taken."""


class Client(Protocol):
    """One connection; `send` returns once the request is acknowledged."""

    async def send(self, body: bytes) -> None:
        """Send one request. Raises RefusedError, LaterError or LostError."""

    async def close(self) -> None:
        """Let go."""


def _check(answer: bytes) -> None:
    """An acknowledgement is one of all spans."""
    if answer:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        if partial.rejected_spans:
            raise RefusedError(f"{partial.rejected_spans} spans rejected: {partial.error_message}")


class GrpcClient:
    """OTLP/gRPC on a channel that may be shared: HTTP/2 has many requests in flight."""

    def __init__(self, port: int) -> None:
        options = (
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
        )
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._export = self._channel.unary_unary(EXPORT)

    async def send(self, body: bytes) -> None:
        """See Client."""
        try:
            answer = await self._export(body, timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            said = f"{error.code().name}: {error.details()}"
            if error.code() not in _LATER_GRPC:
                raise RefusedError(said) from None
            # The library reports a lost connection as UNAVAILABLE too; only a server's own answer has no such words.
            lost = any(words in said for words in ("connect", "Socket closed", "recvmsg", "GOAWAY", "Broken pipe"))
            raise (LostError if lost else LaterError)(said) from None
        _check(answer)

    async def close(self) -> None:
        """See Client."""
        await self._channel.close()


class HttpClient(asyncio.Protocol):
    """OTLP/HTTP, protobuf, on a keep-alive connection with one request in flight, as exporters have."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        self._port = port
        extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-protobuf\r\n{extra}"
            "Content-Length: "
        ).encode()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._received = b""

    async def send(self, body: bytes) -> None:
        """See Client."""
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            try:
                await loop.create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError as error:
                raise LostError(repr(error)) from None
        assert self._transport is not None
        self._received = b""
        self._answer = loop.create_future()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        late = loop.call_later(ANSWER_SECONDS, self._transport.abort)
        try:
            status, answer = await self._answer
        finally:
            late.cancel()
        if status == 200:
            _check(answer)
        elif status in _LATER_HTTP:
            raise LaterError(f"HTTP {status}")
        else:
            raise RefusedError(f"HTTP {status}: {answer[:200]!r}")

    async def close(self) -> None:
        """See Client."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._received = self._received + data if self._received else data
        if self._answer is not None and not self._answer.done():
            whole = parse_response(self._received)
            if whole is not None:
                self._answer.set_result(whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LostError(f"connection closed: {exc!r}"))


def parse_response(data: bytes) -> tuple[int, bytes] | None:
    """Status and body of an HTTP/1.1 response, None while it is not complete. Chunked bodies come back as they are."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, body = data[:end].lower(), data[end + 4 :]
    status = int(head[9:12])
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        return (status, body[:length]) if len(body) >= length else None
    if b"\r\ntransfer-encoding: chunked" in head:
        return (status, b"" if status == 200 else body) if body.endswith(b"0\r\n\r\n") else None
    return (status, b"")
