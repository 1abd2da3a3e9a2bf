"""Exchanges whose streams the app has neither read to the end nor closed: when the interpreter ends, they are dropped.

`atexit` calls the latest first. So this comes before the end of a tracer provider that was made before the first
stream, and the spans of what was open are still exported. Only while some are open, collections of garbage are watched:
it would cost every call several of the interpreter's.
"""

from __future__ import annotations

import atexit
import os
from typing import Protocol

from otel_cost.instrument import garbage
from otel_cost.instrument.guard import STATS


class Closable(Protocol):
    """What is known of an exchange here."""

    def closed(self) -> None:
        """The app dropped the response."""


_open: dict[int, Closable] = {}
_is_registered = False


def hold(exchange: Closable) -> None:
    """From here on, a stream of this exchange is open."""
    global _is_registered
    if not _is_registered:
        _is_registered = True
        atexit.register(drop_all)
    _open[id(exchange)] = exchange
    garbage.watch()


def release(exchange: Closable) -> None:
    """It is not any more."""
    _open.pop(id(exchange), None)
    garbage.unwatch(_open)


def drop_all() -> None:
    """The app will read none of them."""
    while _open:
        _, exchange = _open.popitem()
        try:
            exchange.closed()
        except Exception as error:
            STATS.failed("open_exchanges.drop_all", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open.clear)  # they are the parent's
