"""Refreshing the published file every few seconds, apart from everything else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from collector import telemetry as metrics
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)


LOOK_SECONDS = 0.25
"""How soon the first change after a quiet time is seen. Lower: the store is asked more often whether it has moved."""


class PublishTimer:
    """Calls `publish` at most once per interval, from a thread of its own, and soon when the last time is longer ago.

    A failure is counted and tried again an interval later.
    """

    def __init__(self, publish: Callable[[], bool], interval_seconds: float, telemetry: Telemetry) -> None:
        self._publish = publish
        self._interval_seconds = interval_seconds
        self._telemetry = telemetry
        self._stopped = Event()
        self._published_at = time.time()
        self._thread = Thread(target=self._run, name="otel-cost-publish", daemon=True)

    def start(self) -> None:
        """Start the clock; the store has published what it had when it started."""
        self._published_at = time.time()
        self._telemetry.gauge(metrics.PUBLISHED_AT, lambda: self._published_at)
        self._thread.start()

    def stop(self) -> None:
        """Stop after a refresh in progress. The store publishes what is left when it stops."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def refresh(self) -> float:
        """Publish if something has changed. Seconds until the next time."""
        started_at, started_seconds = time.time(), time.perf_counter()
        try:
            refreshed = self._publish()
        except Exception as error:
            self._telemetry.add(metrics.PUBLISH_FAILURES)
            logger.warning("the published file was not refreshed: %s", error)
            return self._interval_seconds
        self._published_at = started_at
        if not refreshed:
            return min(LOOK_SECONDS, self._interval_seconds)
        self._telemetry.observe(metrics.PUBLISH_SECONDS, time.perf_counter() - started_seconds)
        return self._interval_seconds

    def _run(self) -> None:
        pause_seconds = self._interval_seconds
        while not self._stopped.wait(pause_seconds):
            pause_seconds = self.refresh()
