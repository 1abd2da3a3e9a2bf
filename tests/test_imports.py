"""Boundaries that the static import graph cannot prove, checked by importing in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("collector", "duckdb", "pyarrow", "numpy", "grpc", "google.protobuf", "yaml", "pydantic", "genai_prices")


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys, threading\nassert threading.active_count() == 1\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_the_app_half_loads_nothing_heavy_and_starts_no_thread() -> None:
    """`import otel_cost` and its pure parts stay light, whatever is imported lazily."""
    loaded = _loaded_after("import otel_cost, otel_cost.normalise, otel_cost.pricing, otel_cost.usage")
    assert not [name for name in HEAVY if name in loaded]


def test_the_processor_loads_opentelemetry_and_nothing_else_heavy() -> None:
    """The span processor needs the SDK that the app already has, and no more."""
    loaded = _loaded_after("import otel_cost.processor, otel_cost.context, otel_cost.distro")
    assert "opentelemetry.sdk.trace" in loaded
    assert not [name for name in HEAVY if name in loaded]


@pytest.mark.parametrize("module", ["otel_cost.normalise", "otel_cost.pricing", "otel_cost.usage", "otel_cost.call"])
def test_pure_modules_do_not_load_opentelemetry(module: str) -> None:
    """Normalising and pricing can be used without any OpenTelemetry package."""
    assert find_spec(module) is not None
    assert not [name for name in _loaded_after(f"import {module}") if name.startswith("opentelemetry")]


def test_importing_the_service_opens_nothing_and_starts_no_thread() -> None:
    """Building blocks of the service do no work when they are imported."""
    loaded = _loaded_after("import collector.service")
    assert "collector.store" in loaded
