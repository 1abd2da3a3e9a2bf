"""Group commit: requests that wait together are made durable together, and each is answered after that.

A sync of the disk, and likewise decoding, costs milliseconds however little it is for. So one thread takes everything
that waits, does both once, and answers all of it. An idle collector does so at once. With several senders the groups
begin at a distance that keeps this fixed cost a small share of a core, unless all senders wait already.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread

from collector import telemetry as metrics
from collector.decode.request import Outcome, Request
from collector.errors import (
    Overloaded,
    PermanentError,
    RequestError,
    RetryableError,
    ShuttingDown,
)
from collector.refusals import Refusals
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 1.0
"""Senders count for so long, or twice that. Shorter: with a request now and then, each counts as a single sender.
Longer: a single sender that is left of many waits for the others."""

Process = Callable[[Sequence[Request]], Sequence[Outcome]]
"""Makes some requests durable, all or none; one outcome each, in their order. Raises RetryableError when that is not
possible now; anything else that it raises is the fault of one of the requests."""


@dataclass(frozen=True, slots=True)
class CommitterConfig:
    """Bounds of the queue and of one group."""

    queue_bytes: int = 128 * 1024 * 1024
    """Bodies that wait or are being committed. Full: senders are told to come back later, and memory stays flat."""
    queue_requests: int = 20_000
    """Requests likewise: a one-span request holds about 2 KB of Python objects whatever its body takes."""
    group_bytes: int = 8 * 1024 * 1024
    """Bodies of one group. About 10,000 spans of 790 bytes, where the fixed cost of a group no longer shows. Larger:
    the last sender waits longer, and the columns of a group take several times its bytes."""
    group_requests: int = 2_048
    """Requests of one group: so many answers take the event loop about 25 ms."""
    longest_linger_seconds: float = 0.025
    """The longest distance at which groups begin. Shorter: more groups. Longer: answers come later."""
    linger_factor: float = 16.0
    """Groups begin at a distance of so many times the CPU time of the last one: small ones take a 16th of a core.
    Higher: answers come later. A single sender never waits, and nobody does once all senders wait."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: Request
    future: asyncio.Future[Outcome]
    loop: asyncio.AbstractEventLoop


class Committer:
    """The queue and its one thread. `submit` may be called from any event loop. `refusals`: of what may come again."""

    def __init__(self, process: Process, config: CommitterConfig, telemetry: Telemetry) -> None:
        self._process = process
        self._config = config
        self._telemetry = telemetry
        self.refusals = Refusals()
        self._changed = Condition()
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._committing = 0  # requests
        self._crowd = _Crowd()
        self._wake_at = 1  # requests that wait, for which the thread wants to be woken
        self._stopping = False
        self._not_before_seconds = 0.0
        self._thread = Thread(target=self._run, name="otel-cost-committer", daemon=True)

    def start(self) -> None:
        """Start committing."""
        self._telemetry.gauge(metrics.QUEUE_REQUESTS, lambda: len(self._queue))
        self._telemetry.gauge(metrics.QUEUE_BYTES, lambda: self._bytes)
        self._telemetry.gauge(metrics.QUEUE_LIMIT_BYTES, lambda: self._config.queue_bytes)
        self._thread.start()

    def stop(self, deadline_seconds: float) -> bool:
        """Refuse what arrives, commit and answer what waits; whether all of it was committed before the deadline."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(deadline_seconds)
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
        self._answer(left, [_refusal(ShuttingDown("the collector stopped before this was stored"))] * len(left))
        return not left and not self._thread.is_alive()

    def submit(self, request: Request) -> asyncio.Future[Outcome]:
        """What became of the request, once it is on disk or refused. A RequestError is in the outcome, never raised."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), loop)
        size_bytes = len(request.body)
        with self._changed:
            error = self._why_not(size_bytes)
            if error is None:
                self._queue.append(waiting)
                self._bytes += size_bytes
                self._crowd.saw(self._committing + len(self._queue))
                if len(self._queue) >= self._wake_at or self._is_large():
                    self._changed.notify()
        if error is not None:
            waiting.future.set_result(self._refused(error))
        return waiting.future

    def _why_not(self, size_bytes: int) -> RequestError | None:
        if self._stopping:
            return ShuttingDown("the collector is stopping")
        if self._bytes + size_bytes > self._config.queue_bytes or len(self._queue) >= self._config.queue_requests:
            return Overloaded("too much waits to be stored")
        return None

    def _refused(self, error: RequestError) -> Outcome:
        if isinstance(error, RetryableError) and not isinstance(error, ShuttingDown):
            self.refusals.refused(str(error))
        return _refusal(error)

    def _run(self) -> None:
        while group := self._next_group():
            started_seconds, cpu_seconds = time.monotonic(), time.thread_time()
            requests = [waiting.request for waiting in group]
            outcomes = self._commit(requests)
            with self._changed:
                self._bytes -= sum(len(request.body) for request in requests)
                self._committing = 0
            self._answer(group, outcomes)
            linger_seconds = (time.thread_time() - cpu_seconds) * self._config.linger_factor
            self._not_before_seconds = started_seconds + min(linger_seconds, self._config.longest_linger_seconds)

    def _next_group(self) -> list[_Waiting]:
        """Everything that waits, up to the bounds of a group; empty when stopping and drained."""
        group: list[_Waiting] = []
        size_bytes = 0
        with self._changed:
            self._await_group()
            while self._queue and len(group) < self._config.group_requests:
                size_bytes += len(self._queue[0].request.body)
                if group and size_bytes > self._config.group_bytes:
                    break
                group.append(self._queue.popleft())
            self._committing = len(group)
        if group:
            self._telemetry.observe(metrics.ACK_REQUESTS, len(group))
        return group

    def _await_group(self) -> None:
        """Return when there is a group, or none will come."""
        while not self._stopping and not self._is_large():
            waiting, left_seconds = len(self._queue), self._not_before_seconds - time.monotonic()
            if waiting and (left_seconds <= 0 or waiting >= self._crowd.size):
                return
            self._wake_at = self._crowd.size if left_seconds > 0 else 1
            self._changed.wait(left_seconds if left_seconds > 0 else None)

    def _is_large(self) -> bool:
        return self._bytes >= self._config.group_bytes or len(self._queue) >= self._config.group_requests

    def _commit(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        """One outcome per request. A request that breaks the pipeline is found by halving, and fails alone."""
        try:
            outcomes = self._process(requests)
        except RetryableError as error:
            return [self._refused(error)] * len(requests)
        except Exception as error:
            if len(requests) == 1:
                logger.exception("a request of %d bytes cannot be processed", len(requests[0].body))
                return [self._refused(_blame(error))]
        else:
            self.refusals.taken()
            return outcomes
        middle = len(requests) // 2
        return [*self._commit(requests[:middle]), *self._commit(requests[middle:])]

    def _answer(self, group: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome]]] = {}
        for waiting, outcome in zip(group, outcomes, strict=True):
            by_loop.setdefault(waiting.loop, []).append((waiting.future, outcome))
        for loop, answers in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, answers)
            except RuntimeError:
                logger.warning("%d senders left before their answer", len(answers))


class _Crowd:
    """How many requests were in flight at once in the last second or two: about as many as there are senders."""

    def __init__(self) -> None:
        self._ends_seconds = 0.0
        self._before = self._now = 1

    @property
    def size(self) -> int:
        """1 with a single sender that waits for each answer."""
        self._turn()
        return max(self._before, self._now)

    def saw(self, in_flight: int) -> None:
        """So many are in flight."""
        self._turn()
        if in_flight > self._now:
            self._now = in_flight

    def _turn(self) -> None:
        now_seconds = time.monotonic()
        if now_seconds >= self._ends_seconds:
            gone = now_seconds >= self._ends_seconds + _REMEMBERED_SECONDS
            self._before, self._now = 1 if gone else self._now, 1
            self._ends_seconds = now_seconds + _REMEMBERED_SECONDS


def _blame(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, MemoryError):
        return Overloaded("not enough memory for this request")
    return PermanentError("the collector failed on this request and did not store it; its log says why")


def _refusal(error: RequestError) -> Outcome:
    return Outcome(0, 0, str(error), error)


def _resolve(answers: Sequence[tuple[asyncio.Future[Outcome], Outcome]]) -> None:
    for future, outcome in answers:
        if not future.done():
            future.set_result(outcome)
