"""`OtelCostInstrumentor`: hooks the HTTP libraries that the app has, now or when it imports them."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from otel_cost.distro import disabled
from otel_cost.enrich import expect_wire_spans
from otel_cost.instrument.guard import STATS

HOOKS = ("httpx_hook", "aiohttp_hook", "requests_hook", "botocore_hook", "exits")
"""Modules beside this one, each with `instrument()` and `uninstrument()`. They hook a library when the app imports it:
importing what is installed would cost 300 ms at the start of apps that use none of it."""

ENTRY_POINT = "otel_cost"
GUARD_VARIABLE = "OTEL_COST_GUARD"
"""Address of the collector that decides on calls by budgets: docs/guard.md."""
DISABLED_INSTRUMENTATIONS = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

_lock = threading.RLock()
_followed: set[str] = set()  # modules of frameworks whose agents are followed, or will be


def instrumentation_disabled() -> bool:
    """Whether the environment switches the wire part off: `OTEL_COST_DISABLED`, or our name among those disabled."""
    names = os.environ.get(DISABLED_INSTRUMENTATIONS, "").split(",")
    return disabled() or any(name.strip() in (ENTRY_POINT, "*") for name in names)


class OtelCostInstrumentor:
    """The entry point `opentelemetry_instrumentor`. All instances share one state; no method ever raises."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: whatever HTTP libraries there are is hooked."""
        return ()

    def instrument(self, *, hosts: Mapping[str, str] | None = None, redact: Any = None, **_: Any) -> None:
        """Hook the HTTP libraries, once, however often it is called; what is not given stays as it was.

        Args:
            hosts: hosts of model servers that are not known -> provider, as in `{"llm.internal:8000": "vllm"}`.
            redact: text -> text that may be kept, or None; for captured content.
        """
        if instrumentation_disabled():
            return
        with _lock:
            try:
                from otel_cost.instrument import host_span, observe
                from otel_cost.instrument.settings import read_settings

                before = observe.settings()
                observe.use(read_settings(before.hosts if hosts is None else hosts, redact or before.redact))
                expect_wire_spans(host_span.is_carrying)
            except Exception as error:
                STATS.failed("instrument", error)
                return
            for name in HOOKS:
                _call(name, "instrument")
            _patch_frameworks()
            _switch_guard_on()

    def uninstrument(self, **_: Any) -> None:
        """Undo it: calls that begin from here on are not seen."""
        with _lock:
            for name in HOOKS:
                _call(name, "uninstrument")
            _call("agents", "unpatch")
            _call("observe", "use_defaults")
            _followed.clear()


def _patch_frameworks() -> None:
    try:
        from otel_cost.instrument.agents import PATCHES
        from otel_cost.instrument.patching import when_imported

        for name in PATCHES.keys() - _followed:
            _followed.add(name)
            when_imported(name, PATCHES[name])
    except Exception as error:
        STATS.failed("instrument.agents", error)


def _switch_guard_on() -> None:
    """Budgets are asked where the environment says so."""
    if not os.environ.get(GUARD_VARIABLE, "").strip():
        return
    try:
        from otel_cost.guard.gate import switch_on_by_environment

        switch_on_by_environment()
    except Exception as error:
        STATS.failed("instrument.guard", error)


def _call(module: str, function: str) -> None:
    try:
        getattr(import_module(f"{__package__}.{module}"), function)()
    except Exception as error:
        STATS.failed(f"{function}.{module}", error)
