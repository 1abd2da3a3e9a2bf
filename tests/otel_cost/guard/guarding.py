"""The guard on, asking a budget over real HTTP, with the wire instrumentation and its spans recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otel_cost.guard import gate
from otel_cost.instrument.instrumentor import OtelCostInstrumentor
from tests.otel_cost.guard.budget_server import Budget, budget_server
from tests.otel_cost.instrument.observing import Observed, observed
from tests.otel_cost.instrument.scripted_server import Script


@contextmanager
def guard_on(budget: Budget) -> Iterator[Budget]:
    """The guard asks this budget; at the end everything is told."""
    with budget_server(budget):
        assert gate.switch_on(budget.url)
        try:
            yield budget
        finally:
            gate.switch_off()


@contextmanager
def guarded_app(budget: Budget, *scripts: Script, provider: str = "openai") -> Iterator[Observed]:
    """An app whose calls of this provider are decided on by this budget."""
    with guard_on(budget), observed(*scripts) as app:
        OtelCostInstrumentor().instrument(hosts={app.server.url.partition("://")[2]: provider})
        yield app
