"""One logical model call as a span: one of our own, or another instrumentation's that gets our facts.

It lasts over all attempts of an SDK. A call of which several things are billed (steps by several models) says what the
provider reported in all, and counts as their wrapper: each of them is a span below it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from otel_cost import __version__
from otel_cost import attributes as keys
from otel_cost.instrument import agents
from otel_cost.instrument.billing import Bill, as_reading, bills_of, is_plain
from otel_cost.instrument.content import content_attributes
from otel_cost.instrument.estimates import ABANDONED, COMPLETE, FAILED, estimated
from otel_cost.instrument.guard import STATS, guarded
from otel_cost.instrument.host_span import Host
from otel_cost.instrument.metrics import Metrics
from otel_cost.instrument.settings import Settings
from otel_cost.instrument.span_attributes import asked_attributes, begun, enriched_attributes, own_attributes, span_name
from otel_cost.instrument.wire.types import Asked, Reading, maker
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from otel_cost.spans import processors_of, snapshot, starts_unseen, write_clean
from otel_cost.twins import exchange_begins, exchange_is_over

if TYPE_CHECKING:
    from otel_cost.guard.gate import Passage

ATTEMPT_EVENT = keys.OTEL_COST_ATTEMPT
"""One event per attempt that failed and was repeated, or may be."""
BATCH, FETCH = "batch", "fetch_response"
COUNTS_AS = "counts_as"
"""In `Reading.extra`: the operation of a call whose usage another exchange tells."""

_METRICS = Metrics()
os.register_at_fork(after_in_child=_METRICS.forget)


class _Source:
    """The last provider, and its tracer: getting one takes 12 us."""

    def __init__(self, provider: trace.TracerProvider, tracer: trace.Tracer, processors: object) -> None:
        self.provider = provider
        self.tracer = tracer
        self.processors = processors
        self.starts_unseen = processors is not None and guarded(starts_unseen)(provider) is True


_source: _Source | None = None


class Outcome(NamedTuple):
    """How an attempt ended."""

    reading: Reading | None  # what was said until then; None: nothing came
    at_ns: int
    error_type: str | None = None
    stream: str | None = None  # how the stream ended; None: it was none
    first_chunk_ns: int | None = None


_NOTHING: Mapping[str, int] = {}
_WHOLE = (None, COMPLETE)
"""How an answer ended that said all that it had to say."""


class _Facts(NamedTuple):
    """What one span says of an outcome."""

    reading: Reading
    usage: Mapping[str, int]
    estimates: Mapping[str, int]
    parts: int = 0  # spans below that say what is billed

    @property
    def is_billed(self) -> bool:
        """Whether there is anything to price."""
        return any(self.usage.values()) or self.reading.reported_cost_pico_usd is not None


_facts_made = maker(_Facts)


class CallSpan:
    """From the first attempt to the last. `started_ns`: of a call that only its answer shows to be one."""

    resends = 0
    _is_told = False
    _last: Outcome | None = None

    def __init__(
        self,
        asked: Asked,
        operation: str,
        context: Context,
        host: Host | None,
        settings: Settings,
        started_ns: int | None = None,
        passage: Passage | None = None,
    ) -> None:
        self.asked = asked
        self.passage = passage
        self.context = context
        self._operation = operation
        self._host = host
        self._settings = settings
        self._started_ns = at_ns = time_ns() if started_ns is None else started_ns
        self._begun = name, attributes, _ = begun(operation, asked[1], asked[4], asked[5], asked[3][1])
        if host is not None:
            self.span = host.span
            self.resends = host.attempts - 1
            if passage is not None:
                self._write(host.span, passage.attributes())
        else:
            self.span = _start(name, attributes if passage is None else self._asked_attributes(), context, at_ns)
        self._identity: tuple[int, int] = self.span.get_span_context()[:2]
        exchange_begins(asked[4], at_ns, self._identity)
        owners = agents.current()
        if owners is not None:
            _name_owners(self.span, owners)

    @property
    def is_hosted(self) -> bool:
        """Whether the span is another instrumentation's."""
        return self._host is not None

    def _asked_attributes(self) -> Mapping[str, Any]:
        found = self._begun[1]
        return found if self.passage is None else {**found, **self.passage.attributes()}

    def attempt_failed(self, outcome: Outcome, status: int | None) -> None:
        """The attempt failed, and may be repeated."""
        self._last = outcome
        said = {keys.HTTP_RESPONSE_STATUS_CODE: status, keys.ERROR_TYPE: outcome.error_type}
        if self.span.is_recording():
            attributes = {key: value for key, value in said.items() if value is not None}
            self.span.add_event(ATTEMPT_EVENT, attributes, outcome.at_ns)

    @guarded
    def give_up(self) -> None:
        """Nobody repeated the attempt: the call ended when it failed."""
        if self._last is not None:
            self.finish(self._last)

    def tell_host(self, outcome: Outcome) -> None:
        """Write what is known on the host while it can be written to: it may end before the exchange does."""
        reading = outcome.reading
        if self._host is not None and reading is not None and not reading.counts_once:
            facts = _facts(reading, outcome, bills_of(reading))
            if facts.is_billed:
                self._is_told = self._write_on_host(self.span, outcome, facts)

    def finish(self, outcome: Outcome) -> None:
        """Write everything, and end the span if it is ours."""
        reading, host = outcome.reading, self._host
        is_usual = self.passage is None and outcome.stream in _WHOLE and self._operation != BATCH
        facts: _Facts | None
        if is_usual and reading is not None and is_plain(reading):
            facts = _facts_made((reading, reading.usage, _NOTHING, 0))
        else:
            facts = self._settle(reading, outcome)
        if host is not None:
            self._finish_host(host, outcome, facts)
        else:
            self._end(self.span, outcome, facts)
        if host is None or host.is_free or host.is_carrying:  # else it ends with the host
            exchange_is_over(self._identity)
        try:
            self._record(outcome, facts)
        except Exception as error:
            STATS.failed("CallSpan._record", error)

    def _settle(self, reading: Reading | None, outcome: Outcome) -> _Facts | None:
        """What the span says, where more is to be known than the usage; what else is billed gets spans below it."""
        bills = [] if reading is None else bills_of(reading)
        if self.passage is not None:
            self.passage.settle(reading, bills, outcome.stream)
        if reading is None:
            return None
        facts = _facts(reading, outcome, [] if self._operation == BATCH else bills)
        if self._operation == BATCH or facts.parts:
            context = trace.set_span_in_context(self.span, self.context)
            emit(self.asked, reading, bills, context, (self._started_ns, outcome.at_ns), self._operation)
        return facts

    def _finish_host(self, host: Host, outcome: Outcome, facts: _Facts | None) -> None:
        if facts is None or not facts.is_billed:
            host.is_free, host.is_carrying = True, False
            if outcome.error_type is not None:  # some say nothing of a failed call; what comes next goes over this
                reading = Reading(self._operation, self.asked.provider, self.asked.model)
                self._write_on_host(self.span, outcome, facts or _Facts(reading, {}, {}))
            else:
                self._write(self.span, {keys.OTEL_COST_STREAM: outcome.stream})
        elif self._is_told:
            return
        elif outcome.stream in (ABANDONED, FAILED) or not self._write_on_host(self.span, outcome, facts):
            # It has ended, or may never end. The same response id tells the collector that both are one call.
            STATS.count("hosts.left_early")
            context = trace.set_span_in_context(self.span, self.context)
            late = _start(self._begun[0], self._asked_attributes(), context, self._started_ns)
            self._end(late, outcome, facts)

    def _write_on_host(self, span: Span, outcome: Outcome, facts: _Facts) -> bool:
        found = enriched_attributes(self.asked, facts.reading, facts.usage, facts.estimates)
        if facts.parts:
            found[keys.OTEL_COST_PARTS] = facts.parts
        if outcome.stream is not None:
            found[keys.OTEL_COST_STREAM] = outcome.stream
        if self.resends:
            found[keys.HTTP_REQUEST_RESEND_COUNT] = self.resends
        is_told = self._write(span, found)
        if is_told and self._host is not None:
            self._host.is_carrying = False
        return is_told

    def _write(self, span: Span, attributes: Mapping[str, Any]) -> bool:
        """False: the span has ended."""
        if not span.is_recording():
            return False
        span.set_attributes({key: value for key, value in attributes.items() if value is not None})
        return True

    def _end(self, span: Span, outcome: Outcome, facts: _Facts | None) -> None:
        if span.is_recording():
            _, _, error_type, stream, first_ns = outcome
            found: dict[str, Any] = {}
            if facts is not None:
                reading, usage, estimates, parts = facts
                found = own_attributes(self.asked, reading, usage, estimates)
                if parts:
                    found[keys.OTEL_COST_PARTS] = parts
                if reading[0] is None:
                    found[keys.GEN_AI_OPERATION_NAME] = FETCH
                if self._settings.has_content:
                    found |= self._content(reading)
            if stream is not None:
                found[keys.OTEL_COST_STREAM] = stream
                if first_ns is not None:
                    found[keys.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = (first_ns - self._started_ns) / 1e9
            if self.resends:
                found[keys.HTTP_REQUEST_RESEND_COUNT] = self.resends
            if error_type is not None:
                found[keys.ERROR_TYPE] = error_type
                span.set_status(Status(StatusCode.ERROR))
            write_clean(span, found)
        span.end(outcome.at_ns)

    def _content(self, reading: Reading) -> dict[str, str]:
        try:
            return content_attributes(self.asked, reading, self._settings.redact, self._settings.max_characters)
        except Exception as error:  # of the app's redaction: what it could not clean is not shown
            STATS.failed("content", error)
            return {}

    def _record(self, outcome: Outcome, facts: _Facts | None) -> None:
        if metrics.get_meter_provider() is not _meters and not _takes_metrics():
            return
        _, at_ns, error_type, stream, first_ns = outcome
        model, usage = None, _NOTHING
        if facts is not None:
            reading, usage, _, _ = facts
            operation, _, _, model = reading[:4]
            if operation is None:
                return
        asked, started_ns = self.asked, self._started_ns
        _METRICS.record(
            (self._operation, asked[1], asked[4], model, self._begun[2]),
            error_type,
            (at_ns - started_ns) / 1e9,
            None if stream is None or first_ns is None else (first_ns - started_ns) / 1e9,
            usage,
            self.context,
        )


_meters: object = None
"""The last meter provider that was none of the API's own."""


def _takes_metrics() -> bool:
    """Whether the app has a meter provider by now."""
    global _meters
    provider = metrics.get_meter_provider()
    if type(provider).__module__.startswith("opentelemetry.metrics"):
        return False
    _meters = provider
    return True


def emit(
    asked: Asked,
    reading: Reading,
    bills: Sequence[Bill],
    context: Context,
    period_ns: tuple[int, int],
    operation: str | None = None,
) -> None:
    """One span for each of the bills, from the first to the second of `period_ns`."""
    usual = reading.extra.get(COUNTS_AS) or (operation if operation not in (None, BATCH) else "chat")
    for bill in bills:
        counts_as = bill.part.extra.get(COUNTS_AS) or usual
        said = as_reading(reading, bill.part, counts_as)
        attributes = {**asked_attributes(asked, counts_as), **own_attributes(asked, said, said.usage, {})}
        if bill.items > 1:
            attributes[keys.OTEL_COST_ITEMS] = bill.items
        if said.error_type is not None:
            attributes[keys.ERROR_TYPE] = said.error_type
        span = _start(
            span_name(counts_as, said.request_model or said.response_model), attributes, context, period_ns[0]
        )
        owners = agents.current()
        if owners is not None:
            _name_owners(span, owners)
        if said.error_type is not None:
            span.set_status(Status(StatusCode.ERROR))
        span.end(period_ns[1])


def _start(name: str, attributes: Mapping[str, Any], context: Context, at_ns: int) -> Span:
    """A span of our own, by the provider that the app has now: it may set it late.

    The SDK takes half as long to check what a span says at its start as to start it. Where nobody looks then, the
    attributes, which are clean, are written after.
    """
    global _source
    provider = trace.get_tracer_provider()
    source = _source
    if source is None or source.provider is not provider or source.processors is not processors_of(provider):
        source = _source = _Source(provider, provider.get_tracer(WIRE_SCOPE, __version__), processors_of(provider))
    if not source.starts_unseen:
        return source.tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=at_ns)
    span = source.tracer.start_span(name, context, SpanKind.CLIENT, start_time=at_ns)
    write_clean(span, attributes)
    return span


def _facts(reading: Reading, outcome: Outcome, bills: Sequence[Bill]) -> _Facts:
    if not bills:
        return _Facts(reading._replace(reported_cost_pico_usd=None), {}, {})
    if _is_split(reading, bills):
        return _Facts(reading._replace(reported_cost_pico_usd=None), reading.usage, {}, len(bills))
    part = bills[0].part
    if reading.parts:
        own = as_reading(reading, part, reading.operation or "")
        reading = own._replace(response_id=reading.response_id, finish_reasons=reading.finish_reasons)
    estimates = estimated(reading, outcome.stream or COMPLETE)
    return _Facts(reading, {**part.usage, **estimates}, estimates)


def _is_split(reading: Reading, bills: Sequence[Bill]) -> bool:
    """Whether something else is billed than the call reports: spans below it say what."""
    return len(bills) > 1 or bool(reading.parts and bills and bills[0].part.usage != reading.usage)


def _name_owners(span: Span, found: agents.Owners) -> None:
    """The agent and the conversation of the framework that makes the call; names said on the span or above it win."""
    if not span.is_recording():
        return
    said = snapshot(span)
    added = {}
    if found.agent and keys.OTEL_COST_AGENT not in said and keys.GEN_AI_AGENT_NAME not in said:
        added[keys.OTEL_COST_AGENT] = added[keys.GEN_AI_AGENT_NAME] = found.agent
    if found.conversation and keys.GEN_AI_CONVERSATION_ID not in said:
        added[keys.GEN_AI_CONVERSATION_ID] = found.conversation
    if added:
        span.set_attributes(added)
