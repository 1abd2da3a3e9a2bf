"""Real OTLP targets for the forwarding tests: a gRPC server and an HTTP server that keep what they receive."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.forward.grpc_client import EXPORT

LIMIT_SECONDS = 20.0


@dataclass
class Received:
    """What a target has taken. `delay` closed makes it slow; `answers` are given before it accepts."""

    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    attempts: int = 0
    open: Event = field(default_factory=Event)
    answers: list[Callable[[Any], bytes]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)

    def __post_init__(self) -> None:
        self.open.set()

    def take(self, body: bytes, headers: dict[str, str], context: Any) -> bytes:
        """Note an attempt; answer it as told, or keep the request."""
        self.open.wait(LIMIT_SECONDS)
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            if self.answers:
                return self.answers.pop(0)(context)
            self.requests.append(ExportTraceServiceRequest.FromString(body))
            self.headers.append(headers)
            self._changed.notify_all()
        return bytes(ExportTraceServiceResponse().SerializeToString())

    @property
    def spans(self) -> list[Span]:
        """All spans received, in order."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; checked whenever something arrives."""
        with self._changed:
            assert self._changed.wait_for(condition, LIMIT_SECONDS)


@contextmanager
def grpc_target(received: Received, port: int = 0) -> Iterator[int]:
    """An OTLP/gRPC server; yields its port."""

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        return received.take(body, dict(context.invocation_metadata()), context)

    service, method = EXPORT.strip("/").split("/")
    handler = grpc.unary_unary_rpc_method_handler(export)
    server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound
    finally:
        received.open.set()
        server.stop(0).wait()


@contextmanager
def http_target(received: Received, port: int = 0) -> Iterator[int]:
    """An OTLP/HTTP server; yields its port. Answers set `context.status` and `context.extra`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        status = 200
        extra: dict[str, str]

        def do_POST(self) -> None:
            self.status, self.extra = 200, {}
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            answer = received.take(body, {"path": self.path, **dict(self.headers.items())}, self)
            self.send_response(self.status)
            self.send_header("Content-Length", str(len(answer)))
            for name, value in self.extra.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        received.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
