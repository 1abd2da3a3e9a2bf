"""Whether requests are being refused, and why: for the health check and the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

logger = logging.getLogger(__name__)

REMEMBERED_SECONDS = 10.0
"""A refusal is a reason to be unhealthy for so long, unless something is taken before: who looks at health may send
nothing until it is well. Shorter: senders that come seldom are refused by a collector that calls itself well. Longer:
one that is well again gets no spans."""

LOG_AGAIN_SECONDS = 60.0
"""Refusals that go on are logged at this distance."""


class Refusals:
    """The last refusal that senders were told to come back after. May be used by any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()
        self._why: str | None = None
        self._last_seconds = 0.0
        self._told_seconds: float | None = None

    def why(self) -> str | None:
        """Why the last request was refused; None when one was taken since, or it is long ago."""
        with self._lock:
            return self._why if self._now() < self._last_seconds + REMEMBERED_SECONDS else None

    def refused(self, why: str) -> None:
        """Something was not taken."""
        with self._lock:
            self._why, self._last_seconds = why, self._now()
            if self._told_seconds is None or self._last_seconds >= self._told_seconds + LOG_AGAIN_SECONDS:
                logger.warning("spans are refused, senders are told to come back: %s", why)
                self._told_seconds = self._last_seconds

    def taken(self) -> None:
        """Something was taken. The log says so when nothing was refused for a while."""
        with self._lock:
            self._why = None
            if self._told_seconds is not None and self._now() >= self._last_seconds + REMEMBERED_SECONDS:
                logger.warning("spans are taken again")
                self._told_seconds = None
