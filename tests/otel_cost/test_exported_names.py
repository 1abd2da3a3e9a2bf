"""The public names of the package, and that importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import otel_cost


def test_public_names_are_flat_sorted_and_resolve() -> None:
    """What `__all__` promises exists; the same objects as in their modules."""
    errors, classes = ["ApprovalRequired", "BudgetError", "BudgetExceeded"], ["CostSpanExporter", "CostSpanProcessor"]
    assert otel_cost.__all__ == [*errors, *classes, "agent", "guard", "install", "run", "tags"]
    assert otel_cost.__all__ == sorted(otel_cost.__all__)
    for name in otel_cost.__all__:
        assert callable(getattr(otel_cost, name))
        assert name in dir(otel_cost)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = otel_cost.nothing


def test_names_resolve_only_when_they_are_used() -> None:
    """`import otel_cost` alone loads none of its modules, and no OpenTelemetry."""
    code = "import sys, otel_cost; print([n for n in sys.modules if n.startswith(('otel_cost.', 'opentelemetry'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
