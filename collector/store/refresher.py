"""The thread that keeps the publication fresh, at a bounded share of the machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_REST = 20
"""A refresh that took long is followed by a pause of this many times as long: at most 5% of one core."""


class Refresher:
    """Calls `publish` every `interval_seconds`, less often when it takes long."""

    def __init__(self, publish: Callable[[], object], interval_seconds: float) -> None:
        self._publish = publish
        self._interval_seconds = interval_seconds
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping.clear()
        self._thread = threading.Thread(target=self._loop, name="otel-cost-publish", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        pause_seconds = self._interval_seconds
        while not self._stopping.wait(pause_seconds):
            started = time.thread_time()
            self._publish()
            pause_seconds = max(self._interval_seconds, _REST * (time.thread_time() - started))
