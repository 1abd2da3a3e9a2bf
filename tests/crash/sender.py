"""Clients that resend until they are acknowledged, and remember what was."""

from __future__ import annotations

import http.client
import random
import time
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.forward.grpc_client import EXPORT

INPUT_PICO_USD, OUTPUT_PICO_USD = 2_500_000, 10_000_000
"""gpt-4o: 2.50 USD per million input tokens, 10.00 USD per million output tokens."""
START_NS = 1_767_225_600_000_000_000  # 2026-01-01
ANSWER_SECONDS = 10.0
RESEND_SECONDS = 0.05
MAX_REQUESTS = 20_000


class Transport(Protocol):
    """One connection that a client owns."""

    def send(self, body: bytes) -> str:
        """Why the request was not acknowledged; empty when it was."""

    def close(self) -> None:
        """Let go."""


class GrpcTransport:
    """OTLP/gRPC."""

    def __init__(self, port: int) -> None:
        options = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200))
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._export = self._channel.unary_unary(EXPORT)

    def send(self, body: bytes) -> str:
        """See Transport."""
        try:
            answer = self._export(body, timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            return f"{error.code()}: {error.details()}"
        return str(ExportTraceServiceResponse.FromString(answer).partial_success.error_message)

    def close(self) -> None:
        """See Transport."""
        self._channel.close()


class HttpTransport:
    """OTLP/HTTP, protobuf."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def send(self, body: bytes) -> str:
        """See Transport."""
        try:
            self._connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return repr(error)
        return "" if response.status == 200 else f"HTTP {response.status}"

    def close(self) -> None:
        """See Transport."""
        self._connection.close()


@dataclass
class Sender:
    """One client: sends requests of model calls one after the other, each until it is acknowledged."""

    number: int
    transport: Transport
    enough: Event
    random: random.Random
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Span id -> cost in pico-USD."""
    resent: int = 0
    problem: str = ""
    """Why the last request that had to be sent again was not acknowledged."""
    abandoned: Event = field(default_factory=Event)
    """Set when the test is over: then nothing is sent again."""

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._run, name=f"sender-{self.number}", daemon=True)

    def _run(self) -> None:
        for sequence in range(MAX_REQUESTS):
            if self.enough.is_set():
                break
            body, costs = self.request(sequence)
            while problem := self.transport.send(body):
                self.problem = problem
                if self.abandoned.is_set():
                    return
                self.resent += 1
                time.sleep(RESEND_SECONDS)
            self.acknowledged.update(costs)
        self.transport.close()

    def request(self, sequence: int) -> tuple[bytes, dict[str, int]]:
        """A request of 1 to 40 model calls, and their costs in pico-USD by span id."""
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        costs = {}
        trace_id = ((self.number << 64) + sequence + 1).to_bytes(16, "big")
        for index in range(self.random.randint(1, 40)):
            span_id = ((self.number << 48) + (sequence << 16) + index + 1).to_bytes(8, "big")
            input_tokens, output_tokens = self.random.randint(0, 100_000), self.random.randint(1, 5_000)
            start_ns = START_NS + sequence * 1_000_000_000 + index
            span = spans.add(trace_id=trace_id, span_id=span_id, name="chat gpt-4o", kind=3)
            span.start_time_unix_nano, span.end_time_unix_nano = start_ns, start_ns + 500_000_000
            for key, text in (
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.provider.name", "openai"),
                ("gen_ai.request.model", "gpt-4o"),
                ("gen_ai.response.id", f"chatcmpl-{span_id.hex()}"),
            ):
                span.attributes.add(key=key).value.string_value = text
            span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = input_tokens
            span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = output_tokens
            costs[span_id.hex()] = input_tokens * INPUT_PICO_USD + output_tokens * OUTPUT_PICO_USD
        return bytes(request.SerializeToString()), costs
