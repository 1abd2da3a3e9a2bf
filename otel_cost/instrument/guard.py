"""The promise that nothing of ours reaches the app: every entry is guarded, and what went wrong is counted."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from otel_cost.guard.errors import BudgetError
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


def refusing(function: Callable[P, R]) -> Callable[P, R | None]:
    """`guarded`, but a budget's refusal is raised: on purpose, and nowhere else."""
    where = function.__qualname__

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except BudgetError:
            raise
        except Exception as error:
            STATS.failed(where, error)
            return None

    return wrapper


def refusing_async(function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R | None]]:
    """`refusing` for coroutines."""
    where = function.__qualname__

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return await function(*args, **kwargs)
        except BudgetError:
            raise
        except Exception as error:
            STATS.failed(where, error)
            return None

    return wrapper
