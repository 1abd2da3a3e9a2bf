"""The life of an exchange: from the request as it leaves to the end of the response, as a span.

HTTP libraries are hooked by the modules beside this one; they call `begin()` and the methods of `Exchange`, none of
which ever raises anything but a budget's refusal. What the bytes mean is read by `otel_cost.instrument.wire`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from time import time_ns
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context

from otel_cost.guard.errors import BudgetError
from otel_cost.instrument import billing, estimates, garbage, host_span
from otel_cost.instrument.call_span import CallSpan, Outcome, emit
from otel_cost.instrument.current_context import attach, current, detach
from otel_cost.instrument.encoding import decoder
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.include_usage import asking_for_usage
from otel_cost.instrument.retries import RETRIES, is_retryable
from otel_cost.instrument.settings import Settings
from otel_cost.instrument.wire.body import BodyReader, is_whole, read_body
from otel_cost.instrument.wire.detect import asked as ask
from otel_cost.instrument.wire.failures import type_name
from otel_cost.instrument.wire.types import Asked, Head, Reading, Request, maker

if TYPE_CHECKING:
    from otel_cost.guard.gate import Gate, Passage

_OBSERVED = otel_context.create_key("otel-cost-observed")
"""Set while an HTTP library works for an exchange that is observed: libraries below it see nothing."""
_SUPPRESSED = "suppress_instrumentation"
"""Key of opentelemetry-instrumentation: set by exporters, and by apps that want no telemetry of some code."""

_SPAN = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
"""Key under which the API keeps the current span: a context with it and `_OBSERVED` is made at once."""

_COUNTED = {library: f"exchanges.{library}" for library in ("httpx", "httpx2", "aiohttp", "requests", "botocore")}

_head, _outcome = maker(Head), maker(Outcome)
_count = STATS.tally

MAX_HELD_CHUNKS = 16
"""Chunks of a stream that are read together: one after the other they cost half of what each costs between two that
the app works on. More would hold up the app when they are read, by a microsecond each."""
MAX_HELD_CHUNK_BYTES = 2048
"""A longer one is read at once. With `MAX_HELD_CHUNKS` this bounds what a stream holds: 32 KB."""

_settings = Settings()
gate: Gate | None = None  # decides on calls; hooks of async clients look whether there is one
_generation = 0  # of forks: a child must not end what its parent began


def use(settings: Settings) -> None:
    """From here on, exchanges are observed with these settings."""
    global _settings
    _settings = settings


def use_defaults() -> None:
    """Forget the settings."""
    use(Settings())


def settings() -> Settings:
    """Those in use."""
    return _settings


def use_gate(to_ask: Gate | None) -> None:
    """From here on, calls are decided on by this gate; None: all are let through."""
    global gate
    gate = to_ask


def flush_pending() -> None:
    """End the spans of failed calls that wait to be repeated, as before the app's exporter is flushed."""
    RETRIES.flush()


_Start = tuple[Asked, Context, CallSpan | None]
"""A request that is to be observed: what it asks for, where, and the call whose failed attempt it repeats."""


def begin(request: Request, library: str) -> Exchange | None:
    """Start to observe a request that is about to be sent by the HTTP library of that name; its span is current from
    here to the exchange's `leave` or `answered`.

    None: not a model API, switched off, or already inside an observed exchange (httpx over aiohttp). Raises nothing but
    a budget's refusal (`otel_cost.BudgetError`, or what carries it out of an SDK), where the guard is on.
    """
    passage = None
    try:  # as in `_start`: every function less is felt
        context = current()
        if context and (_OBSERVED in context or context.get(_SUPPRESSED)):
            return None
        asked = ask(request, _settings.hosts)
        if asked is None:
            return None
        _count(_COUNTED.get(library) or f"exchanges.{library}")
        repeated = RETRIES.take(request, context) if RETRIES.pending and asked.operation is not None else None
        if gate is not None and repeated is None and asked.operation is not None:
            passage = gate.admit(asked, context, library)
        return Exchange((asked, context, repeated), passage, _settings)
    except BudgetError:
        raise
    except Exception as error:
        _never_began(error, passage)
        return None


async def begin_async(request: Request, library: str) -> Exchange | None:
    """`begin` where an event loop runs: it goes on while a budget is asked for."""
    if gate is None:
        return begin(request, library)
    passage = None
    try:
        start = _start(request, library)
        if start is None:
            return None
        asked, context, repeated = start
        if repeated is None and asked.operation is not None:  # a repetition is the same call
            passage = await gate.admit_async(asked, context, library)
        return Exchange(start, passage, _settings)
    except BudgetError:
        raise
    except Exception as error:
        _never_began(error, passage)
        return None


def _start(request: Request, library: str) -> _Start | None:
    context = current()
    if context and (_OBSERVED in context or context.get(_SUPPRESSED)):
        return None
    asked = ask(request, _settings.hosts)
    if asked is None:
        return None
    _count(_COUNTED.get(library) or f"exchanges.{library}")
    return asked, context, None if asked.operation is None else RETRIES.take(request, context)


@guarded
def _never_began(error: Exception, passage: Passage | None) -> None:
    """Nothing will be known of the call; what was set aside for it is free again."""
    STATS.failed("observe.begin", error)
    if passage is not None:
        passage.admission.settle(None, 0)


class Exchange:
    """One request and its response. No method ever raises; each may be called on any thread, one at a time.

    While the HTTP library works, our span is current, and the exchange hidden from nested hooks: until `leave`.

    `replacement_body` and `replacement_url` are what to send instead of the app's, where the app's user asked us to.
    """

    __slots__ = (
        *("_asked", "_call", "_context", "_decode", "_first_chunk_ns", "_generation", "_head", "_held", "_is_over"),
        *("_once", "_reader", "_room", "_started_ns", "_token", "_within", "replacement_body"),
        "replacement_url",
    )

    def __init__(self, start: _Start, passage: Passage | None, settings: Settings) -> None:
        asked, context, repeated = start
        self.replacement_body: bytes | None = None
        self.replacement_url: str | None = None
        if repeated is not None:
            passage = repeated.passage
        if passage is not None and passage.replacement is not None:
            replacement = passage.replacement
            asked = asked._replace(model=replacement.asked.model, body=replacement.asked.body)
            self.replacement_body = replacement.body
            self.replacement_url = replacement.url
        if settings.includes_usage:
            self.replacement_body = asking_for_usage(asked) or self.replacement_body
        self._asked = asked
        self._context = context
        self._started_ns = started_ns = time_ns()
        self._generation = _generation
        self._once = iter((True,))  # taken by whoever ends the exchange
        self._is_over = False
        self._held: list[bytes] = []  # chunks of the body that are not read yet
        self._room = 1  # for so many; 1 while the reader is still asked how far it is
        self._head: Head | None = None
        self._reader: BodyReader | None = None
        self._decode: Callable[[bytes], bytes] | None = None
        self._first_chunk_ns: int | None = None
        self._call: CallSpan | None = None
        if repeated is not None:
            self._call = repeated
            repeated.resends += 1
        elif (operation := asked.operation) is not None:
            host = host_span.claim(asked, context) if context else None
            self._call = CallSpan(asked, operation, context, host, settings, started_ns, passage)
        call = self._call
        own = {_OBSERVED: True} if call is None else {_OBSERVED: True, _SPAN: call.span}
        self._within = within = Context({**context, **own} if context else own)
        self._token = attach(within)

    @guarded
    def leave(self) -> None:
        """Our span is not current any more; where another context is, as in a coroutine that is collected elsewhere,
        nothing happens. The app may do the same again."""
        if current() is self._within:
            detach(self._token)

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """`leave`, `responded` and `whole`, of an answer that the library has read and decoded: ends the exchange."""
        try:
            if current() is self._within:
                detach(self._token)
            self._head = head = _head((status, headers))
            if self._generation == _generation and next(self._once, False):  # as in `_takes_end`
                self._is_over = True
                reading, call = read_body(self._asked, head, body), self._call
                if call is not None and reading.error_type is None:  # nearly always
                    call.finish(_outcome((reading, time_ns(), None, None, None)))
                else:
                    self._finish(reading)
        except Exception as error:
            STATS.failed("Exchange.answered", error)
            self.leave()
            self.closed()

    def takes_at_once(self, body: bytes) -> bool:
        """Whether a body that has all come can be read before the app does: JSON, where no stream was asked for."""
        asked = self._asked
        return body[:1] == b"{" and not (asked.is_stream or asked.api.framing)

    @guarded
    def responded(self, status: int, headers: Mapping[str, str], content_encoding: str | None) -> None:
        """Status and headers (names in lower case) came; `content_encoding` of the chunks to follow, None: decoded."""
        self._head = Head(status, headers)
        if content_encoding:
            found = decoder(content_encoding)
            self._decode = None if found.is_identity else found.feed

    @guarded
    def whole(self, body: bytes) -> None:
        """The decoded body, where the library has read it all; ends the exchange."""
        head = self._head
        if head is not None and self._takes_end():
            self._finish(read_body(self._asked, head, body))

    def last(self, data: bytes) -> None:
        """`chunk`, after which nothing comes. Of an answer that came in one piece no piece has to be kept."""
        head = self._head
        is_only = self._reader is None and not self._held and self._decode is None
        if is_only and head is not None and is_whole(self._asked, head):
            self.whole(data)
        else:
            self.chunk(data)
            self.ended()

    def chunk(self, data: bytes) -> None:
        """Bytes of the body as the app is about to get them. They are read some at a time, once content has come."""
        held = self._held
        held.append(data)
        if len(held) >= self._room or len(data) > MAX_HELD_CHUNK_BYTES:
            self._read_held()

    def _read_held(self) -> None:
        try:  # `guarded` would cost as much as the rest
            held = self._held
            data = held[0] if len(held) == 1 else b"".join(held)
            held.clear()
            reader = self._reader
            if reader is None:
                if self._head is None or self._is_over:
                    return
                reader = self._reader = BodyReader(self._asked, self._head)
            reader.feed(data if self._decode is None else self._decode(data))
            if self._room == 1:
                self._look(reader)
        except Exception as error:
            STATS.failed("Exchange.chunk", error)

    def ended(self) -> None:
        """The app read to the end."""
        if not self._is_over:
            self._close(estimates.COMPLETE, None)

    def closed(self) -> None:
        """The app closed (or dropped) the response before its end: abandoned, unless the stream said it was done."""
        if not self._is_over:
            self._close(estimates.ABANDONED, None)

    def failed(self, error: BaseException) -> None:
        """Connecting, sending or reading raised, or was cancelled."""
        if not self._is_over:
            self._close(estimates.ABANDONED if isinstance(error, GeneratorExit) else estimates.FAILED, error)

    def _look(self, reader: BodyReader) -> None:
        """Note the first content; at the end of the stream tell a host what was used, before its own code hears it."""
        if self._first_chunk_ns is None and reader.has_content:
            self._first_chunk_ns = time_ns()
        call = self._call
        is_hosted = call is not None and call.is_hosted
        if reader.is_done:
            self._room = MAX_HELD_CHUNKS
            if is_hosted and call is not None and reader.is_stream:
                call.tell_host(Outcome(reader.reading(), time_ns(), None, estimates.COMPLETE, self._first_chunk_ns))
        elif self._first_chunk_ns is not None and not is_hosted:
            self._room = MAX_HELD_CHUNKS

    def _takes_end(self) -> bool:
        """Whether this is the first end that the exchange hears of, and in the process where it began."""
        if self._generation != _generation or next(self._once, None) is None:
            return False
        self._is_over = True
        return True

    @guarded
    def _close(self, how: str, error: BaseException | None) -> None:
        if not self._takes_end():
            return
        at_ns = time_ns()
        if garbage.is_collecting():  # ending a span takes locks that this very thread may hold
            garbage.hand_over(partial(self._read_and_finish, how, error, at_ns))
        else:
            self._read_and_finish(how, error, at_ns)

    @guarded
    def _read_and_finish(self, how: str, error: BaseException | None, at_ns: int) -> None:
        if self._held:
            self._read_held()
        reader, head = self._reader, self._head
        if reader is not None:
            if how == estimates.COMPLETE:
                reader.end()
            if reader.is_done:
                how, error = estimates.COMPLETE, None
            self._finish(reader.reading(), how if reader.is_stream else None, error, at_ns)
        elif head is not None and error is None:
            is_unread = self._asked.is_stream and how == estimates.ABANDONED and head.status < HTTPStatus.BAD_REQUEST
            reading = BodyReader(self._asked, head).reading() if is_unread else None
            self._finish(reading or read_body(self._asked, head, b""), how if is_unread else None, None, at_ns)
        else:
            self._finish(None, None, error, at_ns)

    def _finish(
        self,
        reading: Reading | None,
        stream: str | None = None,
        error: BaseException | None = None,
        at_ns: int | None = None,
    ) -> None:
        error_type = reading.error_type if reading is not None else None
        if error is not None and not isinstance(error, GeneratorExit):
            error_type = type_name(error)
        outcome = Outcome(reading, at_ns or time_ns(), error_type, stream, self._first_chunk_ns)
        call = self._call
        if call is None:
            self._finish_unforeseen(outcome)
        elif error_type is not None and self._may_be_repeated(outcome, error):
            call.attempt_failed(outcome, None if self._head is None else self._head.status)
            if call.is_hosted:
                call.finish(outcome)
            else:
                RETRIES.put(call, self._asked.request, self._context, {} if self._head is None else self._head.headers)
        else:
            call.finish(outcome)

    def _may_be_repeated(self, outcome: Outcome, error: BaseException | None) -> bool:
        head, reading = self._head, outcome.reading
        if reading is not None and any(reading.usage.values()):
            return False
        if self._first_chunk_ns is not None and (head is None or head.status < HTTPStatus.BAD_REQUEST):
            return False  # the app has begun to use the answer
        return is_retryable(None if head is None else head.status, {} if head is None else head.headers, error)

    def _finish_unforeseen(self, outcome: Outcome) -> None:
        """The request did not look like a call; its answer may tell of some: of a job's, of a batch's."""
        reading = outcome.reading
        if reading is None:
            return
        if reading.operation is None or reading.counts_once:
            bills = billing.bills_of(reading) if reading.counts_once else []
            emit(self._asked, reading, bills, self._context, (self._started_ns, outcome.at_ns), reading.operation)
        else:
            CallSpan(self._asked, reading.operation, self._context, None, _settings, self._started_ns).finish(outcome)


def _forget() -> None:
    """In a forked child."""
    global _generation
    _generation += 1
    host_span.forget()


os.register_at_fork(after_in_child=_forget)
