"""The promise that nothing of ours reaches the app: every entry is guarded, and what went wrong is counted."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from otel_cost.stats import Stats

P = ParamSpec("P")
R = TypeVar("R")

STATS = Stats()
"""Of the whole instrumentation; `otel_cost.instrument.stats()` shows them."""


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """`function` that never raises an `Exception`: it is counted as `failed.<name>.<type>`, and None is returned."""
    where = function.__qualname__

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            STATS.failed(where, error)
            return None

    return wrapper
