"""Every model call becomes a span: what goes over HTTP is read as it passes, and never held, delayed or changed.

`wire/` reads exchanges and is pure; `observe` turns what it reads into spans; one module per HTTP library passes
requests, responses and errors on to `observe`.
"""

from __future__ import annotations


def stats() -> dict[str, int]:
    """What the instrumentation counted so far in this process: exchanges by outcome, failures of ours by place."""
    from otel_cost.instrument.guard import STATS

    return STATS.snapshot()
