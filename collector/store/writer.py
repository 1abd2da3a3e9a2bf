"""The one thread that writes: runs jobs in order, one at a time, and something small when there is nothing to do."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from collector.errors import StoreUnavailable

T = TypeVar("T")

_IDLE_SECONDS = 1.0


class Writer:
    """Jobs in, futures out. `idle` runs once after each second without a job that follows one."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._open = False
        self._lock = threading.Lock()

    def start(self, idle: Callable[[], None]) -> None:
        self._open = True
        self._thread = threading.Thread(target=self._loop, args=(idle,), name="otel-cost-store", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Runs what waits, then ends."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Run `job` on the writer thread after those before it. The future fails at once when the store is closed."""
        future: Future[T] = Future()
        with self._lock:
            if self._open:
                self._jobs.put((job, future))
                return future
        future.set_exception(StoreUnavailable("the ledger is closed"))
        return future

    def _loop(self, idle: Callable[[], None]) -> None:
        busy = False
        while True:
            try:
                item = self._jobs.get(timeout=_IDLE_SECONDS if busy else None)
            except queue.Empty:
                busy = False
                idle()
                continue
            if item is None:
                return
            busy = True
            job, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
