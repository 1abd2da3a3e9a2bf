"""What both transports share: who sends, how much may be in flight, and the promise kept before an answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from collector.decode.request import Outcome, Request
from collector.errors import Overloaded, RequestError, ShuttingDown
from collector.receive.config import ReceiverConfig

log = logging.getLogger(__name__)

Signal = Literal["traces", "metrics", "logs"]
Submit = Callable[[Request], Awaitable[Outcome]]
"""Resolves when the request's spans are committed; raises a `RequestError` when they are not."""
Authenticate = Callable[[str | None], str]
"""The `authorization` header -> the organisation. Raises `Unauthenticated`, `PermissionDenied`."""

DEFAULT_ORGANIZATION = "default"


def default_organization(authorization: str | None) -> str:  # noqa: ARG001 - whatever the sender says
    """Everything belongs to one organisation: a collector on loopback needs no tokens."""
    return DEFAULT_ORGANIZATION


@dataclass(frozen=True, slots=True)
class Received:
    """One answered request, for telemetry."""

    transport: Literal["grpc", "http"]
    signal: Signal
    body_bytes: int  # decompressed
    seconds: float
    accepted_spans: int
    rejected_spans: int
    error: BaseException | None  # do not keep it: its frames hold the body


Observe = Callable[[Received], None]


def ignore(received: Received) -> None:
    """No telemetry."""


class Lease:
    """The share of one request in what a receiver holds. Grows as bytes arrive."""

    __slots__ = ("_intake", "accepted_spans", "held_bytes", "rejected_spans")

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.held_bytes = 0
        self.accepted_spans = 0
        self.rejected_spans = 0

    def hold(self, body_bytes: int) -> None:
        """Says that the request now has `body_bytes` in memory. Raises `Overloaded`."""
        self._intake.in_flight_bytes += body_bytes - self.held_bytes
        self.held_bytes = body_bytes
        if self._intake.in_flight_bytes > self._intake.config.max_in_flight_bytes:
            raise Overloaded("too many bytes are waiting to be stored")


class Intake:
    """Counts what one receiver has in flight and hands requests to the pipeline. Lives on one event loop."""

    def __init__(
        self,
        config: ReceiverConfig,
        transport: Literal["grpc", "http"],
        submit: Submit,
        authenticate: Authenticate = default_organization,
        observe: Observe = ignore,
    ) -> None:
        self.config = config
        self.in_flight_requests = 0
        self.in_flight_bytes = 0
        self.draining = False
        self.reading: set[asyncio.Timeout] = set()  # the patience left with each body that is arriving
        self.idle = asyncio.Event()  # set while nothing is in flight
        self.idle.set()
        self._transport = transport
        self._submit = submit
        self._authenticate = authenticate
        self._observe = observe

    def hurry(self, seconds: float) -> None:
        """Give the bodies that are arriving so much time and no more."""
        until = asyncio.get_running_loop().time() + seconds
        for patience in self.reading:
            if not patience.expired():
                patience.reschedule(until)

    @asynccontextmanager
    async def request(self, signal: Signal) -> AsyncIterator[Lease]:
        """Around the whole of one request, so that all are counted, whatever becomes of them."""
        started = time.perf_counter()
        lease = Lease(self)
        failure: BaseException | None = None
        self.in_flight_requests += 1
        self.idle.clear()
        try:
            if self.draining:
                raise ShuttingDown("the collector is shutting down")
            if self.in_flight_requests > self.config.max_concurrent_requests:
                raise Overloaded("too many requests are waiting to be stored")
            yield lease
        except BaseException as error:
            failure = error
            if not isinstance(error, RequestError) and isinstance(error, Exception):
                log.exception("a request failed for a reason nobody foresaw; its sender is told to try again")
            raise
        finally:
            self.in_flight_requests -= 1
            if not self.in_flight_requests:
                self.idle.set()
            self.in_flight_bytes -= lease.held_bytes
            seconds = time.perf_counter() - started
            counts = (lease.accepted_spans, lease.rejected_spans)
            self._observe(Received(self._transport, signal, lease.held_bytes, seconds, *counts, failure))

    def organization(self, authorization: str | None) -> str:
        """Whose spans these are. Raises `Unauthenticated`, `PermissionDenied`."""
        return self._authenticate(authorization)

    async def store(self, lease: Lease, body: bytes, org_id: str) -> Outcome:
        """Returns when the spans are committed. Raises what refused them.

        An empty body is a request without spans, which OTLP answers with success.
        """
        if not body:
            return Outcome(0)
        outcome = await self._submit(Request(body, org_id))
        if outcome.error is not None:
            raise outcome.error
        lease.accepted_spans, lease.rejected_spans = outcome.accepted_spans, outcome.rejected_spans
        return outcome
