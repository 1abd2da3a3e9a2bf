"""Many requests at once over each transport, with the answer to every one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.forward.grpc_client import EXPORT

ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A body as it goes out, and what it is before compression."""

    payload: bytes
    encoding: str  # "", "gzip" or "damaged"
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is 200, 400, 413, 503... for both transports."""

    status: int
    rejected_spans: int = 0


GRPC_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAVAILABLE: 503,
}

Check = Callable[[Sent, Answer], None]


def send_all(requests: Iterator[Sent], transport: str, port: int, check: Check, clients: int) -> None:
    """Send every request over `grpc` or `http`, `clients` at a time, and hand each answer to `check`."""
    asyncio.run(
        _over_grpc(requests, port, check, clients)
        if transport == "grpc"
        else _over_http(requests, port, check, clients)
    )


async def _over_grpc(requests: Iterator[Sent], port: int, check: Check, clients: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await _drain(requests, check, [_GrpcClient(channel.unary_unary(EXPORT)).send] * clients)


async def _over_http(requests: Iterator[Sent], port: int, check: Check, clients: int) -> None:
    async with AsyncExitStack() as connections:
        sends = [(await connections.enter_async_context(aclosing(_HttpClient(port)))).send for _ in range(clients)]
        await _drain(requests, check, sends)


async def _drain(requests: Iterator[Sent], check: Check, sends: Sequence[Callable[[Sent], Awaitable[Answer]]]) -> None:
    async def work(send: Callable[[Sent], Awaitable[Answer]]) -> None:
        for request in requests:
            check(request, await asyncio.wait_for(send(request), ANSWER_SECONDS))

    async with asyncio.TaskGroup() as group:
        for send in sends:
            group.create_task(work(send))


class _GrpcClient:
    def __init__(self, export: grpc.aio.UnaryUnaryMultiCallable) -> None:
        self._export = export

    async def send(self, request: Sent) -> Answer:
        try:
            reply = await self._export(request.body, timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            return Answer(GRPC_STATUS.get(error.code(), 500))
        return Answer(200, ExportTraceServiceResponse.FromString(reply).partial_success.rejected_spans)


class _HttpClient:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Sent) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        encoding = "Content-Encoding: gzip\r\n" if request.encoding else ""
        head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n{encoding}"
            f"Content-Length: {len(request.payload)}\r\n\r\n"
        )
        writer.write(head.encode() + request.payload)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        headers = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:-2])
        reply = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        if headers.get(b"connection") == b"close":
            await self.aclose()
        if status != 200:
            return Answer(status)
        return Answer(200, ExportTraceServiceResponse.FromString(reply).partial_success.rejected_spans)

    async def aclose(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError):  # the collector cut it first
                await writer.wait_closed()
