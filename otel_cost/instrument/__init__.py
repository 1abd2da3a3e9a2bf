"""Every model call becomes a span: what goes over HTTP is read as it passes, and never held, delayed or changed.

`wire/` reads exchanges and is pure; `observe` turns what it reads into spans; one module per HTTP library passes
requests, responses and errors on to `observe`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_cost.instrument.instrumentor import OtelCostInstrumentor

__all__ = ["OtelCostInstrumentor", "stats"]


def __getattr__(name: str) -> object:
    if name != "OtelCostInstrumentor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from otel_cost.instrument.instrumentor import OtelCostInstrumentor

    return OtelCostInstrumentor


def stats() -> dict[str, int]:
    """What the instrumentation counted so far in this process: exchanges by outcome, failures of ours by place."""
    from otel_cost.instrument.guard import STATS

    return STATS.snapshot()
