"""An ended span's cost attributes: normalise, count once, price. Knows no OpenTelemetry; never raises.

`Enricher.enrich()` is what the span processor and the exporter wrapper share. It keeps two small bounded memories:
which spans had a descendant with usage (an agent or a second instrumentation of the same call gets no cost of its
own), and which provider responses were seen in which trace (the first record of a response wins: the innermost span
ends first). What a process cannot know, such as spans of other services, the collector settles later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from contextlib import suppress

from otel_cost import attributes as keys
from otel_cost.call import Call, CallKind
from otel_cost.normalise import normalise
from otel_cost.normalise.dialects.wire import WIRE_SCOPE
from otel_cost.pricing import Cost, RateCard, Status, default_card, price_call
from otel_cost.pricing.money import format_usd
from otel_cost.pricing.result import receipt_text
from otel_cost.recent import Recent
from otel_cost.shortcut import Shortcuts
from otel_cost.twins import Twins, exchange_ends, seen_elsewhere

AttributeValue = str | float
_Period = tuple[int, int | None]  # start and end
WRAPPER = "wrapper"
DUPLICATE = "duplicate"
MAX_REMEMBERED = 4096
"""Span ids and response ids remembered (twice as many at most, 2 MB). Beyond it a repeated call may be priced twice."""

_WIRE, _PARTS = keys.OTEL_COST_WIRE, keys.OTEL_COST_PARTS
_wire_is_on = False
_is_carrying: Callable[[int, int], bool] | None = None

_PRICED_HERE = frozenset({Status.PRICED, Status.FREE, Status.ESTIMATED})
_LEARNED = (Status.PRICED, Status.UNPRICED)
_STATUS = keys.OTEL_COST_COST_STATUS
_USAGE_COST_KEYS = (
    keys.GEN_AI_USAGE_COST_AMOUNT,
    keys.GEN_AI_USAGE_COST_CURRENCY,
    keys.GEN_AI_USAGE_COST_SOURCE,
)


def expect_wire_spans(is_carrying: Callable[[int, int], bool] | None = None) -> None:
    """Calls are read on the wire in this process: others' spans are compared with them from now on.

    `is_carrying(trace_id, span_id)`: whether a span stands around an exchange that will be told by a span of its own.
    """
    global _wire_is_on, _is_carrying
    _wire_is_on, _is_carrying = True, is_carrying


class Enricher:
    """Prices ended spans one at a time; safe to call from many threads, and without a lock."""

    def __init__(self, card: RateCard | None = None) -> None:
        self._card = card or default_card()
        self._shortcuts = Shortcuts(self._card)
        self._above_calls: Recent[tuple[int, int], bool] = Recent(MAX_REMEMBERED)
        self._has_above = False  # nothing is looked up where no call ever had a parent
        self._responses: Recent[int, object] = Recent(MAX_REMEMBERED)
        self._twins = Twins()

    def enrich(
        self,
        attributes: Mapping[str, object],
        trace_id: int,
        span_id: int,
        parent_id: int | None,
        scope_name: str,
        span_name: str,
        span_kind: int,
        status_code: int,
        start_time_ns: int,
        end_time_ns: int | None = None,
    ) -> dict[str, AttributeValue]:
        """Attributes to add to the span; empty when it is no model call or has its cost already.

        `span_kind` and `status_code` are OTLP numbers. A wrapper and a duplicate get a status and no cost.
        Raises whatever normalising or pricing raises (nothing, by their contract): the caller owns the promise.
        """
        above_calls = self._above_calls
        above_call = self._has_above and above_calls.pop((trace_id, span_id)) is not None
        if above_call and parent_id is not None:
            above_calls.put((trace_id, parent_id), True)
        if _STATUS in attributes:
            return {}
        is_wire = scope_name == WIRE_SCOPE or _WIRE in attributes
        told = exchange_ends(trace_id, span_id) if is_wire else None
        if is_wire:
            above_call = above_call and _PARTS in attributes  # what one exchange said is no sum of others
        shape = (scope_name, span_kind, status_code, tuple(attributes))
        short = self._shortcuts.price(shape, span_name, start_time_ns, attributes)
        if short is not None and (is_wire or not _wire_is_on):
            excused = self._excused(trace_id, parent_id, above_call, short[0])
            if excused is not None:
                return excused
            is_told = told is not None and self._twins.wire_is_counted(
                attributes, scope_name, start_time_ns, end_time_ns, told
            )
            return {_STATUS: DUPLICATE} if is_told else short[1]
        call = normalise(
            scope_name=scope_name,
            span_name=span_name,
            span_kind=span_kind,
            status_code=status_code,
            attributes=attributes,
        )
        if call is None or call.kind is CallKind.IGNORE:
            return {}
        if not is_wire and _is_carrying is not None and _is_carrying(trace_id, span_id):
            if parent_id is not None:
                self._put_above(trace_id, parent_id)
            return {_STATUS: WRAPPER}
        if call.usage or call.reported_cost_pico_usd is not None:
            period = (start_time_ns, end_time_ns)
            excused = self._recorded_elsewhere(
                call, attributes, trace_id, parent_id, above_call, scope_name, period, told
            )
            if excused is not None:
                return excused
        elif above_call or call.kind is CallKind.AGGREGATE:
            return {}
        cost = price_call(call, start_time_ns=start_time_ns, end_time_ns=end_time_ns, card=self._card)
        if cost is None:
            return {}
        added = _cost_attributes(cost, attributes)
        if cost.status in _LEARNED:
            with suppress(Exception):  # only speed is lost
                self._shortcuts.learn(shape, span_name, start_time_ns, attributes, call, added)
        return added

    def _put_above(self, trace_id: int, parent_id: int) -> None:
        self._has_above = True
        self._above_calls.put((trace_id, parent_id), True)

    def _recorded_elsewhere(
        self,
        call: Call,
        attributes: Mapping[str, object],
        trace_id: int,
        parent_id: int | None,
        above_call: bool,
        scope_name: str,
        period_ns: _Period,
        told: Set[str] | None,
    ) -> dict[str, AttributeValue] | None:
        """What a span gets instead of a cost, if another has it or will. `told`: None, if not from the wire."""
        is_call = call.kind is CallKind.LEAF and bool(call.usage)
        seen = None
        if _wire_is_on and told is None and is_call and not above_call:
            seen = seen_elsewhere(call, scope_name, *period_ns)
            if self._twins.other_is_counted(seen):
                return {_STATUS: DUPLICATE}
        excused = self._excused(trace_id, parent_id, above_call, call.response_id)
        if excused is None and told is not None and is_call:
            return (
                {_STATUS: DUPLICATE} if self._twins.wire_is_counted(attributes, scope_name, *period_ns, told) else None
            )
        if excused is None and seen is not None:
            self._twins.remember(seen)
        return excused

    def _excused(
        self, trace_id: int, parent_id: int | None, above_call: bool, response_id: str | None
    ) -> dict[str, AttributeValue] | None:
        """What a span with usage gets instead of a cost, if its usage was counted already; None: it counts."""
        if above_call:
            return {_STATUS: WRAPPER}
        if parent_id is not None:
            self._put_above(trace_id, parent_id)
        # The hash (64 bits, seeded) takes half the memory and time of what it stands for.
        if response_id and not self._responses.add(hash((trace_id, response_id))):
            return {_STATUS: DUPLICATE}
        return None


def _cost_attributes(cost: Cost, attributes: Mapping[str, object]) -> dict[str, AttributeValue]:
    """What is written on a priced span; no amount at all where the cost is not fully known."""
    added: dict[str, AttributeValue] = {keys.OTEL_COST_COST_STATUS: cost.status.value}
    if cost.total_pico_usd is not None:
        added[keys.OTEL_COST_COST_USD] = format_usd(cost.total_pico_usd)
        if cost.status in _PRICED_HERE and not any(key in attributes for key in _USAGE_COST_KEYS):
            # The convention wants a double; the exact figure is the string beside it.
            added[keys.GEN_AI_USAGE_COST_AMOUNT] = cost.total_pico_usd / 1e12
            added[keys.GEN_AI_USAGE_COST_CURRENCY] = "USD"
            added[keys.GEN_AI_USAGE_COST_SOURCE] = "local"
    added[keys.OTEL_COST_CARD] = cost.card
    receipt = receipt_text(cost)
    if receipt is not None:
        added[keys.OTEL_COST_RECEIPT] = receipt
    return added
