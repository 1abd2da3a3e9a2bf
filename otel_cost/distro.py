"""Switching on: by the environment alone (`opentelemetry-instrument`), or with one line (`otel_cost.install()`)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from otel_cost.environment import is_true

if TYPE_CHECKING:
    from otel_cost.pricing import RateCard
    from otel_cost.processor import CostSpanProcessor

DISABLED_VARIABLE = "OTEL_COST_DISABLED"
OVERRIDES_VARIABLE = "OTEL_COST_OVERRIDES"
"""Path of a JSON file with overrides of prices (docs/overrides.md)."""
DOCTOR_VARIABLE = "OTEL_COST_DOCTOR_FOLDER"
"""Set by `otel-cost doctor app`, for the processes that it runs."""

_logger = logging.getLogger("otel_cost")
_lock = threading.Lock()


def disabled() -> bool:
    """Whether `OTEL_COST_DISABLED=true` (any case) switches everything off."""
    return is_true(DISABLED_VARIABLE)


def post_instrument() -> None:
    """Entry point `opentelemetry_post_instrument`: runs after the SDK is configured. Never raises."""
    install()
    if DOCTOR_VARIABLE in os.environ:
        from otel_cost.instrument.watch import sitecustomize

        sitecustomize.write_at_exit([])


def install(
    provider: trace.TracerProvider | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    instrument: bool = True,
) -> CostSpanProcessor | None:
    """Add a `CostSpanProcessor` to `provider` (default: the global one), once, however often it is called.

    Every model call over httpx, httpx2, aiohttp, requests or botocore becomes a span, too (docs/instrumentation.md).

    Works before or after exporters are added. Returns the processor, or None where nothing was added: switched off, or
    the provider is none of the SDK's, which is logged. Never raises.

    Args:
        overrides: discounts, own prices, aliases, ... as plain dicts and lists (docs/overrides.md); default: those of
            the JSON file that `OTEL_COST_OVERRIDES` names. Wrong ones are logged, every problem with its place, and
            spans have the list price. Entries with conditions (`when`) are left to the collector.
        instrument: False: only spans that other instrumentations write are priced.
    """
    if disabled():
        return None
    try:
        with _lock:
            installed = _install(trace.get_tracer_provider() if provider is None else provider, overrides)
        if installed is not None and instrument:
            from otel_cost.instrument.instrumentor import OtelCostInstrumentor

            OtelCostInstrumentor().instrument()
        return installed
    except Exception as error:
        _logger.warning("otel-cost: could not be installed; spans carry no cost", exc_info=error)
        return None


def _install(provider: trace.TracerProvider, overrides: Mapping[str, Any] | None) -> CostSpanProcessor | None:
    from otel_cost.processor import CostSpanProcessor

    add = getattr(provider, "add_span_processor", None)
    if add is None:
        _logger.warning(
            "otel-cost: %s takes no span processors; configure the OpenTelemetry SDK first, then call "
            "otel_cost.install()",
            type(provider).__name__,
        )
        return None
    for added in processors_of(provider):
        if isinstance(added, CostSpanProcessor):
            return added
    processor = CostSpanProcessor(card=_card(overrides))
    add(processor)
    _move_to_front(provider, processor)
    return processor


def _move_to_front(provider: object, processor: CostSpanProcessor) -> None:
    """Have it flushed before the exporters: what it ends then must still be exported."""
    active: Any = getattr(provider, "_active_span_processor", None)
    processors = getattr(active, "_span_processors", None)
    if type(processors) is tuple and processors[-1] is processor:
        active._span_processors = (processor, *processors[:-1])


def _card(overrides: Mapping[str, Any] | None) -> RateCard | None:
    """The shipped card under the app's overrides; None: the shipped one as it is."""
    path = os.environ.get(OVERRIDES_VARIABLE, "").strip()
    if overrides is None and not path:
        return None
    import json
    from decimal import Decimal

    from otel_cost.pricing import default_card
    from otel_cost.pricing.overrides import Cards, overrides_from

    place = path if overrides is None else "overrides"
    try:
        if overrides is None:
            with open(path, encoding="utf-8") as file:
                overrides = json.load(file, parse_float=Decimal)
        card = default_card()
        return Cards(card, overrides_from(overrides, card)).card()
    except (OSError, ValueError) as error:
        problems = "\n".join(f"{place}: {line}" for line in str(error).splitlines())
        _logger.error("otel-cost: spans have the list price, for the overrides cannot be used:\n%s", problems)
        return None


def processors_of(provider: object) -> Iterable[object]:
    """Processors that a provider has; providers of vendors keep the SDK's in `provider`."""
    for holder in (provider, getattr(provider, "provider", None)):
        active = getattr(holder, "_active_span_processor", None)
        yield from getattr(active, "_span_processors", ())
