"""Responses that are still being read when the interpreter ends: what was delivered until then is counted."""

from __future__ import annotations

import atexit
from typing import Protocol
from weakref import WeakValueDictionary

from otel_cost.instrument.guard import STATS


class Open(Protocol):
    """What knows the exchange of one response."""

    def closed(self) -> None:
        """It will not be read further."""


class OpenStreams:
    """Tells `closed()` at exit, unless the response is gone by then; its own finalizer would come too late.

    `atexit` calls the latest first: before a tracer provider's own, if that was made before the first response.
    """

    def __init__(self) -> None:
        self._open: WeakValueDictionary[int, Open] = WeakValueDictionary()
        self._is_registered = False

    def add(self, response: Open) -> None:
        """Remember it for as long as it lives."""
        if not self._is_registered:
            self._is_registered = True
            atexit.register(self.close)
        self._open[id(response)] = response

    def close(self) -> None:
        """Tell all that are there."""
        for response in list(self._open.values()):
            try:
                response.closed()
            except Exception as error:
                STATS.failed("open_streams.close", error)


OPEN_STREAMS = OpenStreams()
"""Of this process. In a forked child the exchanges know that they are the parent's, and end nothing."""
