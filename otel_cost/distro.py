"""Switching on: by the environment alone (`opentelemetry-instrument`), or with one line (`otel_cost.install()`)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from otel_cost.processor import CostSpanProcessor

DISABLED_VARIABLE = "OTEL_COST_DISABLED"

_logger = logging.getLogger("otel_cost")
_lock = threading.Lock()


def disabled() -> bool:
    """Whether `OTEL_COST_DISABLED=true` (any case) switches everything off."""
    return os.environ.get(DISABLED_VARIABLE, "").strip().lower() == "true"


def post_instrument() -> None:
    """Entry point `opentelemetry_post_instrument`: runs after the SDK is configured. Never raises."""
    install()


def install(provider: trace.TracerProvider | None = None) -> CostSpanProcessor | None:
    """Add a `CostSpanProcessor` to `provider` (default: the global one), once, however often it is called.

    Works before or after exporters are added. Returns the processor, or None where nothing was added: switched off, or
    the provider is none of the SDK's, which is logged. Never raises.
    """
    if disabled():
        return None
    try:
        with _lock:
            return _install(trace.get_tracer_provider() if provider is None else provider)
    except Exception as error:
        _logger.warning("otel-cost: could not be installed; spans carry no cost", exc_info=error)
        return None


def _install(provider: trace.TracerProvider) -> CostSpanProcessor | None:
    from otel_cost.processor import CostSpanProcessor

    add = getattr(provider, "add_span_processor", None)
    if add is None:
        _logger.warning(
            "otel-cost: %s takes no span processors; configure the OpenTelemetry SDK first, then call "
            "otel_cost.install()",
            type(provider).__name__,
        )
        return None
    for added in _processors_of(provider):
        if isinstance(added, CostSpanProcessor):
            return added
    processor = CostSpanProcessor()
    add(processor)
    return processor


def _processors_of(provider: object) -> Iterable[object]:
    """Processors that a provider has; providers of vendors keep the SDK's in `provider`."""
    for holder in (provider, getattr(provider, "provider", None)):
        active = getattr(holder, "_active_span_processor", None)
        yield from getattr(active, "_span_processors", ())
