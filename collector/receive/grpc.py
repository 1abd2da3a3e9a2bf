"""OTLP over gRPC. Messages arrive as raw bytes: nothing is parsed here.

gRPC's own decompression is switched off, so that a body is inflated by the same code and under the same cap as over
HTTP. A compressed message cannot be taken for a plain one: OTLP requests are empty or start with the byte 0x0a, gzip
starts with 0x1f 0x8b, and zlib's two header bytes are a multiple of 31.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio

from collector.decode.request import Outcome, Request
from collector.errors import CannotListen, RequestTooLarge
from collector.receive import bounds
from collector.receive.config import ReceiverConfig
from collector.receive.descriptors import max_connections
from collector.receive.inflate import inflate
from collector.receive.intake import Intake, Lease, Observe, Signal, Submit, ignore
from collector.receive.senders import Identify, Sender, anybody
from collector.receive.status import PROTOBUF, grpc_trailers, message_of, status_of, success
from collector.tls import TlsFiles, read, server_context

SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}

_NOTHING = Outcome(0)
"""Of a request without spans, which OTLP answers with success."""

_NOTHING_SAID = (None, None)

_CLOSE_SECONDS = 0.2
"""For the library to write the last answers, when all of them are given."""

Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class GrpcReceiver:
    """A gRPC server on the running event loop. `start` binds, `stop` drains."""

    def __init__(
        self,
        config: ReceiverConfig,
        submit: Submit,
        identify: Identify = anybody,
        observe: Observe = ignore,
    ) -> None:
        self._config = config
        self._intake = Intake(config, "grpc", submit, identify, observe)
        self._server: grpc.aio.Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The bound port; 0 before `start`."""
        return self._port

    async def start(self) -> None:
        """Raises `CannotListen`."""
        server = grpc.aio.server(options=_options(self._config))
        for service, signal in SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(self._handler(signal))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        self._port = _bind(server, self._config)
        self._server = server
        await server.start()

    async def stop(self, deadline_seconds: float) -> None:
        """Takes nothing new, waits for the answers under way, and cuts what is left at the deadline.

        The library itself would wait for every open connection, also for one whose peer never said a word; so it is
        told to stop only when all answers are given, and what comes until then is refused as retryable.
        """
        self._intake.draining = True
        server, self._server = self._server, None
        if server is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._intake.idle.wait(), deadline_seconds)
        await server.stop(_CLOSE_SECONDS if self._intake.idle.is_set() else 0)

    def _handler(self, signal: Signal) -> Handler:
        intake = self._intake

        async def export(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
            lease: Lease | None = None
            try:
                lease = intake.request(signal)
                body, sender = self._open(lease, message, context)
                outcome = await intake.submit(Request(body, *sender)) if body else _NOTHING
            except BaseException as error:
                if lease is not None:
                    lease.end(error)
                if not isinstance(error, Exception):
                    raise
                return _refuse(context, error)
            lease.end_with(outcome)
            return success(outcome, PROTOBUF) if outcome.error is None else _refuse(context, outcome.error)

        return export

    def _open(self, lease: Lease, message: bytes, context: grpc.aio.ServicerContext) -> tuple[bytes, Sender]:
        """The decompressed body, empty for a signal that is only answered, and whose it is. Raises a `RequestError`."""
        sender = self._intake.sender(*(_said(context) if self._intake.asks_who else _NOTHING_SAID))
        lease.hold(len(message))
        if lease.signal != "traces":
            return b"", sender
        body = _plain(message, self._config.max_request_bytes)
        lease.hold(len(body))
        return body, sender


def _refuse(context: grpc.aio.ServicerContext, error: BaseException) -> bytes:
    context.set_trailing_metadata(grpc_trailers(error))
    context.set_code(status_of(error).grpc)
    context.set_details(message_of(error))
    return b""


def _options(config: ReceiverConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_request_bytes),
        ("grpc.per_message_decompression", 0),
        ("grpc.so_reuseport", 0),  # a second collector on the port must fail, not share its traffic
        ("grpc.max_concurrent_streams", bounds.MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_metadata_size", bounds.MAX_HEAD_BYTES),
        ("grpc.max_allowed_incoming_connections", max_connections()),
        ("grpc.server_handshake_timeout_ms", int(bounds.HANDSHAKE_SECONDS * 1000)),
        ("grpc.keepalive_time_ms", int(bounds.PING_SECONDS * 1000)),
        ("grpc.keepalive_timeout_ms", int(bounds.UNREAD_SECONDS * 1000)),
    ]


def _bind(server: grpc.aio.Server, config: ReceiverConfig) -> int:
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.port}"
    try:
        port = (
            server.add_secure_port(address, _credentials(config.tls))
            if config.tls
            else server.add_insecure_port(address)
        )
    except (RuntimeError, OSError) as error:
        raise CannotListen(f"gRPC endpoint {address}: {error}") from error
    if not port:
        raise CannotListen(f"gRPC endpoint {address}: cannot bind")
    return int(port)


def _credentials(files: TlsFiles) -> grpc.ServerCredentials:
    server_context(files)  # the library would start with files that cannot work, and fail every client
    return grpc.ssl_server_credentials([(read(files.key_file), read(files.cert_file))])


def _said(context: grpc.aio.ServicerContext) -> tuple[str | None, str | None]:
    """The `authorization` and the `x-org-id` of the metadata."""
    said = {
        key: value if isinstance(value, str) else value.decode("latin-1")
        for key, value in context.invocation_metadata() or ()
        if key in ("authorization", "x-org-id")
    }
    return said.get("authorization"), said.get("x-org-id")


def _plain(message: bytes, max_bytes: int) -> bytes:
    """The message decompressed, if it is compressed. Raises `RequestTooLarge`, `MalformedRequest`."""
    if message[:2] == b"\x1f\x8b":
        return inflate(message, "gzip", max_bytes)
    if len(message) > 1 and message[0] & 0x0F == 8 and int.from_bytes(message[:2], "big") % 31 == 0:
        return inflate(message, "deflate", max_bytes)
    if len(message) > max_bytes:
        raise RequestTooLarge(f"the request has more than {max_bytes} bytes")
    return message
