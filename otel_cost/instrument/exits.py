"""Ways to end a process that skip `atexit`, where the SDK exports the spans that wait: here they are exported before.

Forked children of `multiprocessing` end by `os._exit`, and uvicorn, when it has shut down, by the signal that asked it
to. Other processes (spawned children, those of `os.fork`, gunicorn's workers) end in the usual way.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

from opentelemetry import metrics, trace

from otel_cost.instrument.guard import guarded
from otel_cost.instrument.patching import Hook, Patch

FLUSH_MILLISECONDS = 5000
"""How long a process that ends waits for its spans to be exported. Longer, and a collector that is down holds up every
worker of a pool; shorter, and a slow one loses their last spans."""


def _patches_of_multiprocessing(util: ModuleType) -> Iterator[Patch]:
    def begun(_: object) -> None:
        """In a child, when it has forgotten its parent's finalizers."""
        util.Finalize(None, _flush_child, exitpriority=0)

    util.register_after_fork(_flush_child, begun)
    return iter(())


def _patches_of_uvicorn(server: ModuleType) -> Iterator[Patch]:
    yield Patch(server.Server, "shutdown", _wrap_shutdown)


_MULTIPROCESSING = Hook("multiprocessing.util", _patches_of_multiprocessing)
_UVICORN = Hook("uvicorn.server", _patches_of_uvicorn)


def instrument() -> None:
    """Export what waits at such ends; again changes nothing."""
    _MULTIPROCESSING.instrument()
    _UVICORN.instrument()


def uninstrument() -> None:
    """Leave it to the app."""
    _MULTIPROCESSING.uninstrument()
    _UVICORN.uninstrument()


def _flush_child() -> None:
    if _MULTIPROCESSING.is_on:
        _flush()


def _wrap_shutdown(original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    @functools.wraps(original)
    async def shutdown(self: Any, *args: Any, **kwargs: Any) -> None:
        await original(self, *args, **kwargs)
        if _UVICORN.is_on:
            await asyncio.to_thread(_flush)

    return shutdown


@guarded
def _flush() -> None:
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        flush = getattr(provider, "force_flush", None)
        if flush is not None:
            flush(FLUSH_MILLISECONDS)
