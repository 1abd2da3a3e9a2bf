"""Receivers on a loop of their own in a thread, with a pipeline that decodes and keeps instead of storing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import Outcome, Request, decode_requests
from collector.receive import GrpcReceiver, HttpReceiver, Received, ReceiverConfig
from collector.receive.senders import SenderConfig, identify

EVERYBODY = SenderConfig()
TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Pipeline:
    """Decodes what it is given; raises `failure` instead when that is set."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.spans: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.released: Callable[[], asyncio.Future[None]] | None = None
        self.received: list[Received] = []
        self.refused: list[type[BaseException]] = []

    def observe(self, received: Received) -> None:
        """Without the error: its frames hold the body."""
        if received.error is not None:
            self.refused.append(type(received.error))
        self.received.append(replace(received, error=None))

    async def submit(self, request: Request) -> Outcome:
        if self.failure is not None:
            raise self.failure
        if self.released is not None:
            await self.released()
        self.requests.append(request)
        decoded = decode_requests([request])
        self.spans += decoded.batch.spans.to_pylist()
        return decoded.outcomes[0]


class Running:
    """Both receivers, listening on ports that the system chose."""

    def __init__(
        self,
        pipeline: Pipeline,
        config: ReceiverConfig,
        loop: asyncio.AbstractEventLoop,
        senders: SenderConfig = EVERYBODY,
    ) -> None:
        self.pipeline = pipeline
        known = identify(senders)
        self.grpc = GrpcReceiver(config, pipeline.submit, known, pipeline.observe)
        self.http = HttpReceiver(config, pipeline.submit, known, pipeline.observe)
        self.loop = loop

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc.port}"

    def connect(self, port: int | None = None) -> socket.socket:
        """A raw connection, to the HTTP port unless another is named."""
        return socket.create_connection(("127.0.0.1", port or self.http.port), timeout=30)

    def stop(self, receiver: GrpcReceiver | HttpReceiver, deadline_seconds: float) -> float:
        """Stops it; how long that took."""
        started_seconds = time.monotonic()
        asyncio.run_coroutine_threadsafe(receiver.stop(deadline_seconds), self.loop).result(60)
        return time.monotonic() - started_seconds

    def url(self, path: str = "/v1/traces") -> str:
        return f"http://127.0.0.1:{self.http.port}{path}"

    def channel(self, compression: grpc.Compression = grpc.Compression.NoCompression) -> grpc.Channel:
        options = [("grpc.max_send_message_length", -1)]
        return grpc.insecure_channel(self.grpc_address, options=options, compression=compression)

    def call(self, body: bytes, compression: grpc.Compression = grpc.Compression.NoCompression) -> bytes:
        """One raw gRPC export; raises `grpc.RpcError`."""
        with self.channel(compression) as channel:
            answer: bytes = channel.unary_unary(TRACE_EXPORT)(body, timeout=30)
            return answer


class Hold:
    """From its making, requests to the receivers wait in the pipeline until `release`."""

    def __init__(self, receivers: Running) -> None:
        self.entered = threading.Event()
        self._loop = receivers.loop
        self._gate: asyncio.Future[None] = receivers.loop.create_future()
        receivers.pipeline.released = self._wait

    def _wait(self) -> asyncio.Future[None]:
        self.entered.set()
        return self._gate

    def release(self) -> None:
        """Let them go on."""
        self._loop.call_soon_threadsafe(self._gate.set_result, None)


@contextmanager
def running(
    config: ReceiverConfig | None = None,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    senders: SenderConfig = EVERYBODY,
) -> Iterator[Running]:
    """Receivers on 127.0.0.1, stopped at the end."""
    receivers = Running(Pipeline(), config or ReceiverConfig("127.0.0.1", 0), new_loop(), senders)
    thread = threading.Thread(target=receivers.loop.run_forever, name="receivers")
    thread.start()

    def wait(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, receivers.loop).result(30)

    try:
        wait(receivers.grpc.start())
        wait(receivers.http.start())
        yield receivers
    finally:
        wait(receivers.http.stop(2))
        wait(receivers.grpc.stop(2))
        receivers.loop.call_soon_threadsafe(receivers.loop.stop)
        thread.join(10)
        receivers.loop.close()


def request_of(names: Sequence[str], trace_id: bytes = b"\x01" * 16) -> ExportTraceServiceRequest:
    """A request with one span per name."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for index, name in enumerate(names, 1):
        spans.add(trace_id=trace_id, span_id=index.to_bytes(8, "big"), name=name)
    return request
