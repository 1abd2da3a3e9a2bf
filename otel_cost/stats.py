"""What the in-app half did and what it had to leave: counted by reason, each failure logged once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from itertools import repeat, starmap

from otel_cost import attributes as keys

_STATUS = keys.OTEL_COST_COST_STATUS
_logger = logging.getLogger("otel_cost")

MAX_WAITING = 64
"""Of what is counted with every call, so many wait to be counted together: a lock costs more than all else of it."""


class Stats:
    """Thread-safe counters. `failed()` logs the first time per reason, so that a bad span does not flood a log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._waiting: deque[str] = deque()

    def count(self, what: str, number: int = 1) -> int:
        """Add to a counter and return it."""
        with self._lock:
            counted = self._counts[what] = self._counts.get(what, 0) + number
        return counted

    def tally(self, what: str) -> None:
        """Add one to a counter, soon: for what every call counts."""
        waiting = self._waiting
        waiting.append(what)
        if len(waiting) >= MAX_WAITING:
            self._count_waiting()

    def _count_waiting(self) -> None:
        with self._lock:  # nobody else takes any away
            waiting, counts = self._waiting, self._counts
            taken = list(starmap(waiting.popleft, repeat((), len(waiting))))
            for what in set(taken):
                counts[what] = counts.get(what, 0) + taken.count(what)

    def failed(self, where: str, error: Exception) -> None:
        """An exception that the app must not see. Never raises: this is where all others end."""
        try:
            if self.count(f"failed.{where}.{type(error).__name__}") == 1:
                _logger.warning(
                    "otel-cost: %s failed; the span goes on without it (logged once)", where, exc_info=error
                )
        except Exception:
            self._counts["failed.stats"] = self._counts.get("failed.stats", 0) + 1

    def priced(self, added: Mapping[str, object]) -> None:
        """A span that got these attributes."""
        status = added.get(_STATUS)
        if status is not None:
            self.tally(f"spans.{status}")

    def left_out(self, number: int) -> None:
        """Attributes that the span's own limits had no room for."""
        if number and self.count("attributes_left_out", number) == number:
            _logger.warning("otel-cost: a span's limits leave no room for its cost attributes (logged once)")

    def snapshot(self) -> dict[str, int]:
        """The counters so far."""
        self._count_waiting()
        with self._lock:
            return dict(self._counts)
