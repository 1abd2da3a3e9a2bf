"""What the in-app half did and what it had to leave: counted by reason, each failure logged once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from otel_cost import attributes as keys

_STATUS = keys.OTEL_COST_COST_STATUS
_SPANS: dict[object, str] = {"priced": "spans.priced"}
_logger = logging.getLogger("otel_cost")


class Stats:
    """Thread-safe counters. `failed()` logs the first time per reason, so that a bad span does not flood a log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def count(self, what: str, number: int = 1) -> int:
        """Add to a counter and return it."""
        with self._lock:
            counted = self._counts[what] = self._counts.get(what, 0) + number
        return counted

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
            what = _SPANS.get(status) or f"spans.{status}"
            with self._lock:
                self._counts[what] = self._counts.get(what, 0) + 1

    def left_out(self, number: int) -> None:
        """Attributes that the span's own limits had no room for."""
        if number and self.count("attributes_left_out", number) == number:
            _logger.warning("otel-cost: a span's limits leave no room for its cost attributes (logged once)")

    def snapshot(self) -> dict[str, int]:
        """The counters so far."""
        with self._lock:
            return dict(self._counts)
