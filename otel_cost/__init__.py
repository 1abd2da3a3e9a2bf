"""otel-cost, the half that runs inside the app: ended GenAI span in, priced GenAI span out.

Nothing here is heavy: only `processor`, `exporter`, `spans`, `context` and `distro` touch OpenTelemetry; `normalise`,
`usage`, `pricing` and `enrich` are pure. Public names resolve lazily, so that `import otel_cost` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_cost.context import agent, run, tags
    from otel_cost.distro import install
    from otel_cost.exporter import CostSpanExporter
    from otel_cost.guard.errors import ApprovalRequired, BudgetError, BudgetExceeded
    from otel_cost.guard.manual import guard
    from otel_cost.processor import CostSpanProcessor

__version__ = "0.1.0"
__all__ = [
    "ApprovalRequired",
    "BudgetError",
    "BudgetExceeded",
    "CostSpanExporter",
    "CostSpanProcessor",
    "agent",
    "guard",
    "install",
    "run",
    "tags",
]

_HOMES = {
    "ApprovalRequired": "otel_cost.guard.errors",
    "BudgetError": "otel_cost.guard.errors",
    "BudgetExceeded": "otel_cost.guard.errors",
    "CostSpanExporter": "otel_cost.exporter",
    "CostSpanProcessor": "otel_cost.processor",
    "agent": "otel_cost.context",
    "install": "otel_cost.distro",
    "run": "otel_cost.context",
    "tags": "otel_cost.context",
}


def __getattr__(name: str) -> object:
    if name == "guard":
        return import_module("otel_cost.guard")  # a module that can be called
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
