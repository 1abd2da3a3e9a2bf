"""Calls whose last attempt failed in a way that SDKs repeat: their span stays open until the next attempt, or the end.

Nobody tells that an SDK gave up. So a pending call ends, with the time of its failure, as soon as its thread or task
begins another call, or when nothing came within a bound; at the latest when the app flushes or exits.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from collections.abc import Hashable, Mapping
from contextlib import suppress
from hashlib import blake2b
from time import monotonic
from typing import Any, NamedTuple, Protocol
from weakref import ref

from opentelemetry import trace
from opentelemetry.context import Context

from otel_cost.instrument.guard import STATS
from otel_cost.instrument.wire.types import Request

USUAL_WAIT_SECONDS = 20.0
"""Longer than SDKs back off between attempts where the provider names no time. Shorter: retries become calls of their
own. Longer: failed calls that nobody repeats are seen later."""
MAX_WAIT_SECONDS = 125.0
"""The longest `retry-after` that is waited for; SDKs give up before."""
MAX_PENDING = 1024
"""More than these end at once: an outage must not pile up open spans."""

RETRY_COUNT = "x-stainless-retry-count"
"""Sent by the SDKs that Stainless generates (OpenAI, Anthropic, Groq, ...): 0 is a new call, more is a repetition."""
_SHOULD_RETRY, _RETRY_AFTER, _RETRY_AFTER_MS = "x-should-retry", "retry-after", "retry-after-ms"


class PendingCall(Protocol):
    """What is kept open."""

    def give_up(self) -> None:
        """End the span with what the last attempt said; never raises."""


class _Pending(NamedTuple):
    call: Any
    method: str
    url: str
    digest: bytes
    until: float  # monotonic seconds


def is_retryable(status: int | None, headers: Mapping[str, str], error: BaseException | None) -> bool:
    """Whether SDKs repeat a request that ended so, as the clients of openai, anthropic, google and botocore do."""
    if error is not None:
        return isinstance(error, Exception)  # neither cancelled nor closed
    should = headers.get(_SHOULD_RETRY)
    if should in ("true", "false"):
        return should == "true"
    return status is not None and (status in (408, 409, 429) or status >= 500)


class Retries:
    """All pending calls of this process, by the thread or task, and the span, in which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self.pending: dict[Hashable, list[_Pending]] = {}  # to be looked at only: empty where nothing is
        self._is_running = False
        self._has_exit_hook = False

    def put(self, call: PendingCall, request: Request, context: Context, headers: Mapping[str, str]) -> None:
        """Keep a call open whose attempt failed."""
        pending = _Pending(call, request.method, request.url, _digest(request), monotonic() + _wait_seconds(headers))
        with self._lock:
            if sum(map(len, self.pending.values())) < MAX_PENDING:
                self.pending.setdefault(_flow(context), []).append(pending)
                self._watch()
                return
        STATS.count("retries.not_waited_for")
        call.give_up()

    def take(self, request: Request, context: Context) -> Any:
        """The pending call that this request repeats, or None; whatever else is pending here has been given up."""
        if not self.pending:
            return None
        with self._lock:
            found = self.pending.pop(_flow(context), [])
        repeated = _repeated(found, request)
        for pending in found:
            if pending is not repeated:
                pending.call.give_up()
        return None if repeated is None else repeated.call

    def flush(self) -> None:
        """Give up whatever is pending."""
        with self._lock:
            everything, self.pending = self.pending, {}
        for found in everything.values():
            for pending in found:
                pending.call.give_up()

    def forget(self) -> None:
        """In a forked child: what is pending is the parent's."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self.pending = {}
        self._is_running = False

    def _watch(self) -> None:
        """Have somebody look after what is pending. Called with the lock held."""
        if not self._has_exit_hook:
            # Registered later than the SDK's own, so it runs before the exporter is shut down.
            self._has_exit_hook = True
            atexit.register(self.flush)
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, name="otel-cost-retries", daemon=True).start()
        else:
            self._wake.set()

    def _run(self) -> None:
        """End what nobody repeated in time; the thread ends when nothing is pending."""
        lock = self._lock
        while True:
            with lock:
                if lock is not self._lock:
                    return
                now = monotonic()
                late = [one for found in self.pending.values() for one in found if one.until <= now]
                left = {flow: [one for one in found if one.until > now] for flow, found in self.pending.items()}
                self.pending = {flow: found for flow, found in left.items() if found}
                until = min((one.until for found in self.pending.values() for one in found), default=None)
                if until is None:
                    self._is_running = False
            for pending in late:
                pending.call.give_up()
            if until is None:
                return
            self._wake.wait(max(until - now, 0.0))
            self._wake.clear()


def _flow(context: Context) -> Hashable:
    """The span and the thread or task of a call: SDKs repeat a request where they made it."""
    return trace.get_current_span(context).get_span_context().span_id, _runner()


def _runner() -> Hashable:
    """The thread or task, as nothing that comes after it is: ids of ended ones are soon given to others."""
    with suppress(RuntimeError):  # no loop runs here
        task = asyncio.current_task()
        if task is not None:
            return ref(task)
    trio: Any = sys.modules.get("trio")
    if trio is not None:
        with suppress(RuntimeError, AttributeError):
            return ref(trio.lowlevel.current_task())
    return _thread.token


class _Thread(threading.local):
    """`token` stands for the thread that asks."""

    def __init__(self) -> None:
        self.token = object()


_thread = _Thread()


def _digest(request: Request) -> bytes:
    """Of what a repetition has in common with its first attempt. A multipart body has other boundaries each time."""
    text = None if request.form is None else repr(sorted(request.form.items())).encode()
    return blake2b(request.body or b"" if text is None else text, digest_size=16).digest()


def _repeated(found: list[_Pending], request: Request) -> _Pending | None:
    count = request.headers.get(RETRY_COUNT)
    alike = [one for one in found if (one.method, one.url) == (request.method, request.url)]
    if not alike or count == "0":
        return None
    if count is not None:
        return alike[-1]
    digest = _digest(request)
    return next((one for one in reversed(alike) if one.digest == digest), None)


def _wait_seconds(headers: Mapping[str, str]) -> float:
    for name, scale in ((_RETRY_AFTER_MS, 0.001), (_RETRY_AFTER, 1.0)):
        with suppress(ValueError):
            asked = float(headers.get(name, "")) * scale
            if 0 <= asked < MAX_WAIT_SECONDS:
                return max(asked + 5.0, USUAL_WAIT_SECONDS)
    return USUAL_WAIT_SECONDS


RETRIES = Retries()
os.register_at_fork(after_in_child=RETRIES.forget)
