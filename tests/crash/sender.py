"""Clients that resend until they are acknowledged, and remember what was."""

from __future__ import annotations

import http.client
import random
import time
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.forward.grpc_client import EXPORT
from tests.crash.workload import Part, parts

ANSWER_SECONDS = 10.0
RESEND_SECONDS = 0.05
LATE_COPIES = 200
"""Copies that a sender in a storm holds back, so that they come after others, and after a restart."""


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

    def __init__(self, port: int, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=answer_seconds)

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
    """One client: sends the requests of its traces one after the other, each until it is acknowledged.

    In a storm it sends each of them `copies` times more, later, in another order, as a faulty queue does.
    """

    number: int
    transport: Transport
    enough: Event
    random: random.Random
    copies: int = 0
    pause_seconds: float = 0.0
    acknowledged: list[Part] = field(default_factory=list)
    resent: int = 0
    problem: str = ""
    """Why the last request that had to be sent again was not acknowledged."""
    abandoned: Event = field(default_factory=Event)
    """Set when the test is over: then nothing is sent again."""

    def __post_init__(self) -> None:
        self.thread = Thread(target=self._run, name=f"sender-{self.number}", daemon=True)

    def _run(self) -> None:
        again: list[bytes] = []
        for part in parts(self.number, self.random, self.enough.is_set):
            if not self._sent(part.body):
                return
            self.acknowledged.append(part)
            again += [part.body] * self.copies
            for _ in range(self.random.randint(0, 2 * self.copies) if len(again) > LATE_COPIES else 0):
                if not self._sent(self._taken(again)):
                    return
        while again:
            if not self._sent(self._taken(again)):
                return
        self.transport.close()

    def _taken(self, bodies: list[bytes]) -> bytes:
        """Any of them."""
        at = self.random.randrange(len(bodies))
        bodies[at], bodies[-1] = bodies[-1], bodies[at]
        return bodies.pop()

    def _sent(self, body: bytes) -> bool:
        """True once it is acknowledged; False when nobody waits for that any more."""
        while problem := self.transport.send(body):
            self.problem = problem
            if self.abandoned.is_set():
                return False
            self.resent += 1
            time.sleep(RESEND_SECONDS)
        time.sleep(self.pause_seconds)
        return True
