"""Refreshing the published file every few seconds, apart from everything else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from collector import telemetry as metrics
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)


class PublishTimer:
    """Calls `publish` at an interval, from a thread of its own; a failure is counted and tried again next time."""

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

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_seconds):
            started_at, started_seconds = time.time(), time.perf_counter()
            try:
                refreshed = self._publish()
            except Exception as error:
                self._telemetry.add(metrics.PUBLISH_FAILURES)
                logger.warning("the published file was not refreshed: %s", error)
                continue
            self._published_at = started_at
            if refreshed:
                self._telemetry.observe(metrics.PUBLISH_SECONDS, time.perf_counter() - started_seconds)
