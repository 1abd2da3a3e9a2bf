"""OTLP over HTTP: POST /v1/traces in protobuf or JSON, gzip or deflate or plain.

The server shares the event loop of the process and leaves its signal handlers alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from collector.decode.otlp_json import to_protobuf
from collector.errors import (
    CannotListen,
    MalformedRequest,
    MethodNotAllowed,
    RequestTooLarge,
    StalledRequest,
    UnknownPath,
    UnsupportedMediaType,
)
from collector.limits import MAX_SILENCE_SECONDS
from collector.receive.config import ReceiverConfig
from collector.receive.inflate import BodyReader
from collector.receive.intake import Authenticate, Intake, Lease, Observe, Signal, Submit, default_organization, ignore
from collector.receive.status import JSON, PROTOBUF, http_error, success

PATHS: dict[str, Signal] = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_SMALL_JSON_BYTES = 64 * 1024
"""JSON up to this size is converted on the event loop (a few ms); more goes to a thread."""

_CLOSE_SECONDS = 1.0
"""When stopping, how long bodies may go on arriving; and after the last answer, how long open connections get to close
by themselves. A TLS peer that left without a word never does."""


class _Server(uvicorn.Server):
    """uvicorn without signal handlers, that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class HttpReceiver:
    """An HTTP server on the running event loop. `start` binds, `stop` drains."""

    def __init__(
        self,
        config: ReceiverConfig,
        submit: Submit,
        authenticate: Authenticate = default_organization,
        observe: Observe = ignore,
    ) -> None:
        self._config = config
        self._intake = Intake(config, "http", submit, authenticate, observe)
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The bound port; 0 before `start`."""
        return self._port

    def app(self) -> ASGIApp:
        """The application alone, without a server."""
        converting = asyncio.Semaphore(1)
        routes = [Route(path, _Endpoint(self._intake, signal, converting)) for path, signal in PATHS.items()]
        return Starlette(routes=routes, exception_handlers={404: _unknown_path})

    async def start(self) -> None:
        """Raises `CannotListen`."""
        listener = _bind(self._config)
        self._port = listener.getsockname()[1]
        try:
            config = _uvicorn_config(self.app(), self._config)
            config.load()
        except (OSError, ssl.SSLError) as error:
            listener.close()
            raise CannotListen(f"TLS files of the HTTP endpoint: {error}") from error
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]), name="otlp-http")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({listening, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            await self._serving

    async def stop(self, deadline_seconds: float) -> None:
        """Takes nothing new, waits for the answers under way, and cuts what is left at the deadline."""
        self._intake.draining = True
        server, serving = self._server, self._serving
        if server is None or serving is None:
            return
        server.should_exit = True
        self._intake.hurry(_CLOSE_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._intake.idle.wait(), deadline_seconds)
        await asyncio.wait({serving}, timeout=_CLOSE_SECONDS)
        for connection in list(server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        server.force_exit = True
        await serving
        self._server = self._serving = None


def _uvicorn_config(app: ASGIApp, config: ReceiverConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=config.tls.cert_file if config.tls else None,
        ssl_keyfile=config.tls.key_file if config.tls else None,
    )


def _bind(config: ReceiverConfig) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"HTTP endpoint {config.host}:{config.port}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise CannotListen(f"HTTP endpoint {config.host}:{config.port}: {error.strerror}") from error
    return listener


class _Endpoint:
    """One signal's path, as Starlette calls it: any method, so that wrong ones get OTLP's own error body.

    A refused body need not be read to its end: uvicorn discards the rest, and the sender gets to the answer.
    """

    def __init__(self, intake: Intake, signal: Signal, converting: asyncio.Semaphore) -> None:
        self._intake = intake
        self._signal = signal
        self._converting = converting

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        request = Request(scope, receive)  # type: ignore[arg-type]
        response = await self._respond(request)
        await response(scope, receive, send)  # type: ignore[arg-type]

    async def _respond(self, request: Request) -> Response:
        media_type = _media_type(request)
        try:
            if request.method != "POST":
                raise MethodNotAllowed(f"{request.method} is not POST")
            async with self._intake.request(self._signal) as lease:
                content = await self._export(request, media_type, lease)
            return Response(content, media_type=media_type)
        except Exception as error:
            code, headers, content = http_error(error, media_type or JSON)
            return Response(content, code, headers)

    async def _export(self, request: Request, media_type: str, lease: Lease) -> bytes:
        organization = self._intake.organization(request.headers.get("authorization"))
        if not media_type:
            raise UnsupportedMediaType(f"content type {request.headers.get('content-type', '')[:80]!r}")
        body = await _read_body(request, self._intake, lease)
        if self._signal != "traces":
            return b"{}" if media_type == JSON else b""
        if media_type == JSON:
            body = await self._from_json(body)
        return success(await self._intake.store(lease, body, organization), media_type)

    async def _from_json(self, body: bytes) -> bytes:
        """Large bodies one at a time: as Python objects they take twenty times their size."""
        if len(body) <= _SMALL_JSON_BYTES:
            return to_protobuf(body)
        async with self._converting:
            return await asyncio.to_thread(to_protobuf, body)


def _media_type(request: Request) -> str:
    """The request's own format, or nothing if it is neither."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return named if named in {PROTOBUF, JSON} else ""


async def _read_body(request: Request, intake: Intake, lease: Lease) -> bytes:
    """Raises `RequestTooLarge`, `MalformedRequest`, `UnsupportedEncoding`, `Overloaded`, `StalledRequest`."""
    max_bytes = intake.config.max_request_bytes
    reader = BodyReader(request.headers.get("content-encoding", "").strip().lower(), max_bytes)
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > max_bytes:
        raise RequestTooLarge(f"the request has {announced} bytes, at most {max_bytes} are taken")
    now, patience = asyncio.get_running_loop().time, asyncio.timeout(MAX_SILENCE_SECONDS)
    intake.reading.add(patience)
    try:
        async with patience:
            async for chunk in request.stream():
                reader.feed(chunk)
                lease.hold(reader.held_bytes)
                if not intake.draining:
                    patience.reschedule(now() + MAX_SILENCE_SECONDS)
    except TimeoutError:
        raise StalledRequest("the body stopped arriving before it was complete") from None
    except ClientDisconnect:
        raise MalformedRequest("the connection closed before the body was complete") from None
    finally:
        intake.reading.discard(patience)
    return reader.finish()


async def _unknown_path(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    problem = UnknownPath(f"nothing at {request.url.path}; OTLP lives at {', '.join(PATHS)}")
    code, headers, content = http_error(problem, _media_type(request) or JSON)
    return Response(content, code, headers)
