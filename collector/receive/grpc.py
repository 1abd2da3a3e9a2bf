"""OTLP over gRPC. Messages arrive as raw bytes: nothing is parsed here.

gRPC's own decompression is switched off, so that a body is inflated by the same code and under the same cap as over
HTTP. A compressed message cannot be taken for a plain one: OTLP requests are empty or start with the byte 0x0a, gzip
starts with 0x1f 0x8b, and zlib's two header bytes are a multiple of 31.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio

from collector.errors import CannotListen, RequestTooLarge
from collector.receive.config import ReceiverConfig, TlsFiles
from collector.receive.inflate import inflate
from collector.receive.intake import Authenticate, Intake, Observe, Signal, Submit, default_organization, ignore
from collector.receive.status import PROTOBUF, grpc_trailers, message_of, status_of, success

SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}

Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


class GrpcReceiver:
    """A gRPC server on the running event loop. `start` binds, `stop` drains."""

    def __init__(
        self,
        config: ReceiverConfig,
        submit: Submit,
        authenticate: Authenticate = default_organization,
        observe: Observe = ignore,
    ) -> None:
        self._config = config
        self._intake = Intake(config, "grpc", submit, authenticate, observe)
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
        """Takes nothing new, waits for the answers under way, and cuts what is left at the deadline."""
        self._intake.draining = True
        if self._server is not None:
            await self._server.stop(deadline_seconds)
            self._server = None

    def _handler(self, signal: Signal) -> Handler:
        async def export(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
            try:
                return await self._export(signal, message, context)
            except Exception as error:
                context.set_trailing_metadata(grpc_trailers(error))
                context.set_code(status_of(error).grpc)
                context.set_details(message_of(error))
                return b""

        return export

    async def _export(self, signal: Signal, message: bytes, context: grpc.aio.ServicerContext) -> bytes:
        async with self._intake.request(signal) as lease:
            organization = self._intake.organization(_authorization(context))
            lease.hold(len(message))
            if signal != "traces":
                return b""
            body = _plain(message, self._config.max_request_bytes)
            lease.hold(len(body))
            outcome = await self._intake.store(lease, body, organization)
            return success(outcome, PROTOBUF)


def _options(config: ReceiverConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_request_bytes),
        ("grpc.per_message_decompression", 0),
        ("grpc.so_reuseport", 0),  # a second collector on the port must fail, not share its traffic
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
    return grpc.ssl_server_credentials([(_read(files.key_file), _read(files.cert_file))])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotListen(f"TLS file {path}: {error.strerror}") from error


def _authorization(context: grpc.aio.ServicerContext) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, str) else value.decode("latin-1")
    return None


def _plain(message: bytes, max_bytes: int) -> bytes:
    """The message decompressed, if it is compressed. Raises `RequestTooLarge`, `MalformedRequest`."""
    if message[:2] == b"\x1f\x8b":
        return inflate(message, "gzip", max_bytes)
    if len(message) > 1 and message[0] & 0x0F == 8 and int.from_bytes(message[:2], "big") % 31 == 0:
        return inflate(message, "deflate", max_bytes)
    if len(message) > max_bytes:
        raise RequestTooLarge(f"the request has more than {max_bytes} bytes")
    return message
