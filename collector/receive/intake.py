"""What both transports share: who sends, how much may be in flight, and the promise kept before an answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from collector.decode.request import Outcome, Request
from collector.errors import Overloaded, RequestError, ShuttingDown
from collector.receive.config import ReceiverConfig
from collector.receive.senders import Identify, anybody

log = logging.getLogger(__name__)

Transport = Literal["grpc", "http"]
Signal = Literal["traces", "metrics", "logs"]
Submit = Callable[[Request], Awaitable[Outcome]]
"""Resolves when the request's spans are committed, or with what refused them in the outcome; may also raise that.
Called on the receiver's event loop; a plain function that returns a future spares a task per request."""


@dataclass(frozen=True, slots=True)
class Received:
    """One answered request, for telemetry."""

    transport: Transport
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
    """The share of one request in what a receiver holds, from its head to its answer. Grows as bytes arrive."""

    __slots__ = ("_ended", "_intake", "_started_seconds", "accepted_spans", "held_bytes", "rejected_spans", "signal")

    def __init__(self, intake: Intake, signal: Signal) -> None:
        self._intake = intake
        self._started_seconds = time.perf_counter()
        self._ended = False
        self.signal = signal
        self.held_bytes = 0
        self.accepted_spans = 0
        self.rejected_spans = 0

    def hold(self, body_bytes: int) -> None:
        """Says that the request now has `body_bytes` in memory. Raises `Overloaded`."""
        self._intake.in_flight_bytes += body_bytes - self.held_bytes
        self.held_bytes = body_bytes
        if self._intake.in_flight_bytes > self._intake.config.max_in_flight_bytes:
            raise Overloaded("too many bytes are waiting to be stored")

    def end_with(self, outcome: Outcome) -> None:
        """`end`, with what became of the spans."""
        self.accepted_spans, self.rejected_spans = outcome.accepted_spans, outcome.rejected_spans
        self.end(outcome.error)

    def end(self, error: BaseException | None = None) -> None:
        """Gives the share back and counts the request, once."""
        if not self._ended:
            self._ended = True
            self._intake.leave(self, time.perf_counter() - self._started_seconds, error)


class Intake:
    """Counts what one receiver has in flight and hands requests to the pipeline. Lives on one event loop."""

    def __init__(
        self,
        config: ReceiverConfig,
        transport: Transport,
        submit: Submit,
        identify: Identify = anybody,
        observe: Observe = ignore,
    ) -> None:
        self.config = config
        self.in_flight_requests = 0
        self.in_flight_bytes = 0
        self.draining = False
        self.idle = asyncio.Event()  # set while nothing is in flight
        self.idle.set()
        self.submit = submit
        self.sender = identify
        self.asks_who = identify is not anybody
        self._transport = transport
        self._observe = observe

    def request(self, signal: Signal) -> Lease:
        """A place for one request; whoever takes it ends it. Raises `ShuttingDown`, `Overloaded`."""
        lease = Lease(self, signal)
        self.in_flight_requests += 1
        if self.in_flight_requests == 1:
            self.idle.clear()
        refusal = self._why_not()
        if refusal is not None:
            lease.end(refusal)
            raise refusal
        return lease

    def refused(self, error: BaseException) -> None:
        """Counts what was refused before it was known to be a request."""
        _tell_of(error)
        self._observe(Received(self._transport, "traces", 0, 0.0, 0, 0, error))

    def leave(self, lease: Lease, seconds: float, error: BaseException | None) -> None:
        """Only a lease calls this, when it ends."""
        self.in_flight_requests -= 1
        if not self.in_flight_requests:
            self.idle.set()
        self.in_flight_bytes -= lease.held_bytes
        if error is not None:
            _tell_of(error)
        counts = (lease.accepted_spans, lease.rejected_spans)
        self._observe(Received(self._transport, lease.signal, lease.held_bytes, seconds, *counts, error))

    def _why_not(self) -> RequestError | None:
        if self.draining:
            return ShuttingDown("the collector is shutting down")
        if self.in_flight_requests > self.config.max_concurrent_requests:
            return Overloaded("too many requests are waiting to be stored")
        return None


def _tell_of(error: BaseException) -> None:
    if isinstance(error, Exception) and not isinstance(error, RequestError):
        log.error("a request failed for a reason nobody foresaw; its sender is told to try again", exc_info=error)
