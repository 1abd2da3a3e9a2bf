"""`OtelCostInstrumentor`: hooks the HTTP libraries that the app has, now or when it imports them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from otel_cost.distro import disabled
from otel_cost.instrument.guard import STATS
from otel_cost.instrument.imports import ImportWatcher

HOOKS: Mapping[str, str] = {
    "httpx": "httpx_hook",
    "httpx2": "httpx_hook",
    "aiohttp": "aiohttp_hook",
    "requests": "requests_hook",
    "botocore.httpsession": "botocore_hook",
}
"""Library -> module beside this one that hooks it. Such a module has `instrument() -> bool`, which is called whenever
one of its libraries has been imported, and hooks those in `sys.modules` that it has not hooked yet, and
`uninstrument()`."""

ENTRY_POINT = "otel_cost"
DISABLED_INSTRUMENTATIONS = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

_logger = logging.getLogger("otel_cost")
_lock = threading.Lock()
_hooked: list[Any] = []


def instrumentation_disabled() -> bool:
    """Whether the environment switches the wire part off: `OTEL_COST_DISABLED`, or our name among those disabled."""
    names = os.environ.get(DISABLED_INSTRUMENTATIONS, "").split(",")
    return disabled() or any(name.strip() in (ENTRY_POINT, "*") for name in names)


class OtelCostInstrumentor:
    """The entry point `opentelemetry_instrumentor`. All instances share one state; neither method ever raises."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: whatever HTTP libraries there are is hooked."""
        return ()

    def instrument(self, **_: Any) -> None:
        """Hook the HTTP libraries, once, however often it is called."""
        if instrumentation_disabled():
            return
        with _lock:
            _watcher.start()
            for library in HOOKS:
                if library in sys.modules:
                    _hook(library)

    def uninstrument(self, **_: Any) -> None:
        """Undo it: from here on, calls are not seen."""
        with _lock:
            _watcher.stop()
            while _hooked:
                hook = _hooked.pop()
                try:
                    hook.uninstrument()
                except Exception as error:
                    STATS.failed(f"uninstrument.{hook.__name__}", error)


def _hook(library: str) -> None:
    name = HOOKS[library]
    try:
        hook = import_module(f"otel_cost.instrument.{name}")
        if hook.instrument() and hook not in _hooked:
            _hooked.append(hook)
    except Exception as error:
        STATS.failed(f"instrument.{name}", error)


_watcher = ImportWatcher(tuple(HOOKS), _hook)
