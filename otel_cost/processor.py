"""`CostSpanProcessor`: every span inherits who pays when it starts, and a GenAI span gets its cost when it ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from otel_cost import attributes as keys
from otel_cost.context import OWNER_KEYS, inherited
from otel_cost.enrich import AttributeValue, Enricher
from otel_cost.recent import Recent
from otel_cost.spans import (
    WritePath,
    add_inside,
    add_public,
    add_replaced,
    cost_attributes,
    cost_attributes_inside,
    detect,
    inside,
    live,
    snapshot,
    stamp_inside,
)
from otel_cost.stats import Stats

if TYPE_CHECKING:
    from otel_cost.pricing import RateCard

MAX_OPEN_SPANS = 4096
"""Started spans with something inherited that are remembered (twice as many at most): an app may never end some."""

_Open = tuple[Mapping[str, str], Mapping[str, str]]  # what a span was handed: by its context, and all in all
_AGENT, _AGENT_NAME = keys.OTEL_COST_AGENT, keys.GEN_AI_AGENT_NAME
_NOTHING: Mapping[str, str] = {}
_OWNER_KEYS = frozenset(OWNER_KEYS.values())
_S = TypeVar("_S", bound=ReadableSpan)
_Attributes = Mapping[str, object]
_Added = Mapping[str, AttributeValue]
_logger = logging.getLogger("otel_cost")


class CostSpanProcessor(SpanProcessor):
    """Adds inherited owners at the start and the cost at the end of spans; works in any order with exporters.

    Runs on the app's threads, in microseconds: it opens nothing, waits for nothing, and never raises into the app. What
    goes wrong is counted (`stats()`) and logged once per reason. Building one loads the rate card: do it at start-up.
    Behind a wrapper that does not forward `_on_ending`, and in an SDK before 1.40, it can only reach processors
    that come after it, as `otel_cost.install()` sees to; use `otel_cost.CostSpanExporter` elsewhere.
    """

    def __init__(self, *, card: RateCard | None = None) -> None:
        self._stats = Stats()
        self._card = card
        self._enricher = Enricher(card)
        self._open: Recent[int, _Open] = Recent(MAX_OPEN_SPANS)
        self._has_handed = False  # nothing is looked up where nothing was ever inherited
        self._path = detect()
        self._is_inside = self._path is WritePath.INSIDE
        self._is_late = self._path is not WritePath.NONE  # until `_on_ending` is seen to be called
        if self._path is WritePath.NONE:
            _logger.warning(
                "otel-cost: this opentelemetry-sdk does not let a processor change an ending span; "
                "wrap your exporter in otel_cost.CostSpanExporter"
            )

    @property
    def path(self) -> WritePath:
        """How costs get onto spans with the installed SDK."""
        return self._path

    @property
    def card(self) -> RateCard | None:
        """The card that spans are priced by; None: the shipped one."""
        return self._card

    def stats(self) -> dict[str, int]:
        """What was counted so far: spans by cost status, failures and left-out attributes by reason."""
        return self._stats.snapshot()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp what the span inherits. Called on the thread that starts it."""
        try:
            from_context = inherited(parent_context)
            if from_context or span.parent is not None:
                self._hand_down(span, parent_context, from_context)
        except Exception as error:
            self._stats.failed("on_start", error)

    def _on_ending(self, span: Span) -> None:
        if self._is_inside:
            self._price(span, inside, cost_attributes_inside, add_inside)
        elif self._path is WritePath.PUBLIC:
            self._price(span, snapshot, cost_attributes, add_public)
        else:
            return
        self._is_late = False

    def on_end(self, span: ReadableSpan) -> None:
        """Called after `_on_ending`, which did the work if the SDK, and every wrapper around us, calls it."""
        if self._is_late:
            self._price(span, snapshot, cost_attributes, add_replaced)

    def shutdown(self) -> None:
        """End what is held back, and forget what is remembered of open spans."""
        self.force_flush()
        self._open.clear()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """End the spans of failed calls that wait to be repeated: the only ones that are ever held back."""
        retries = sys.modules.get("otel_cost.instrument.retries")
        if retries is not None:
            try:
                retries.RETRIES.flush()
            except Exception as error:
                self._stats.failed("force_flush", error)
        return True

    def handed_in(self, context: Context | None = None) -> Mapping[str, str]:
        """What a span that starts in this context would inherit, by attribute key."""
        from_context = inherited(context)
        parent = trace.get_current_span(context).get_span_context()
        return self._from_parent(parent.span_id, context, from_context) if parent.is_valid else from_context

    def _hand_down(self, span: Span, parent_context: Context | None, from_context: Mapping[str, str]) -> None:
        parent = span.parent
        handed = from_context if parent is None else self._from_parent(parent.span_id, parent_context, from_context)
        if handed:
            is_inside = self._is_inside
            own = inside(span) if is_inside else snapshot(span)
            stamps = handed
            if _AGENT_NAME in own or not handed.keys().isdisjoint(own.keys()):
                stamps = {key: value for key, value in handed.items() if key not in own}
                if _AGENT_NAME in own:
                    stamps.pop(_AGENT, None)  # the span names its agent itself
            if stamps and is_inside:
                stamp_inside(span, stamps)
            elif stamps:
                span.set_attributes(stamps)
            self._has_handed = True
            forgotten = self._open.put(span.context.span_id, (from_context, handed))
            if forgotten:
                self._stats.count("open_spans_forgotten", forgotten)

    def _from_parent(
        self, parent_id: int, parent_context: Context | None, from_context: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Owners by nearness: a context entered inside the parent, then the parent's own, then what it inherited."""
        opened = self._open.get(parent_id)
        before, handed = opened if opened is not None else (_NOTHING, _NOTHING)
        parent = trace.get_current_span(parent_context)
        own = _owners_of(live(parent) if self._is_inside else snapshot(parent), handed.get(_AGENT))
        if own:
            handed = {**handed, **own}
        if opened is None:
            return {**handed, **from_context} if from_context else handed
        if from_context and from_context is not before:
            return {**handed, **{key: value for key, value in from_context.items() if before.get(key) != value}}
        return handed

    def _price(
        self,
        span: _S,
        read: Callable[[_S], _Attributes],
        cost: Callable[[Enricher, ReadableSpan, _Attributes], dict[str, AttributeValue]],
        add: Callable[[_S, _Added], int],
    ) -> None:
        try:
            attributes = read(span)
            added = cost(self._enricher, span, attributes)
            if added:
                self._stats.priced(added)
            if self._has_handed:
                opened = self._open.pop(span.context.span_id)
                if opened is not None and _AGENT_NAME in attributes:
                    _name_agent(attributes, opened[1].get(_AGENT), added)
            if added:
                left_out = add(span, added)
                if left_out:
                    self._stats.left_out(left_out)
        except Exception as error:
            self._stats.failed("on_end", error)


def _owners_of(attributes: _Attributes, inherited_agent: object) -> dict[str, Any]:
    """What a span says itself of who pays."""
    if not attributes:
        return {}
    get = attributes.get
    found: dict[str, Any] = {}
    if not _OWNER_KEYS.isdisjoint(attributes):
        found = {key: value for key in _OWNER_KEYS if (value := get(key)) is not None}
    name = get(_AGENT_NAME)
    if isinstance(name, str) and found.get(_AGENT, inherited_agent) == inherited_agent:
        found[_AGENT] = name
    return found


def _name_agent(attributes: _Attributes, inherited_agent: str | None, added: dict[str, AttributeValue]) -> None:
    """An agent span named after its start is nearer than what it inherited then."""
    name = attributes[_AGENT_NAME]
    if inherited_agent is not None and attributes.get(_AGENT) == inherited_agent != name and isinstance(name, str):
        added[_AGENT] = name
