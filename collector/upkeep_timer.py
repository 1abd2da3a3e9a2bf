"""Calling the store's maintenance, one piece at a time, apart from everything else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

from collector.store.maintenance import FAILED_PAUSE_SECONDS, IDLE_PAUSE_SECONDS, Maintained

logger = logging.getLogger(__name__)


class UpkeepTimer:
    """Calls `maintain` from a thread of its own and waits as long as it says. A failure is logged and tried again.

    What is reported again and again is logged once, until it is over.
    """

    def __init__(
        self, maintain: Callable[[], Maintained], pause: Callable[[float], float] = lambda seconds: seconds
    ) -> None:
        self._maintain = maintain
        self._pause = pause
        self._stopped = Event()
        self._told: frozenset[str] = frozenset()
        self._thread = Thread(target=self._run, name="otel-cost-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the piece that is under way; it takes a few seconds at most."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_seconds = IDLE_PAUSE_SECONDS
        while not self._stopped.wait(self._pause(pause_seconds)):
            try:
                done = self._maintain()
            except Exception as error:
                self._tell(frozenset({f"maintenance of the ledger failed, it is tried again: {error}"}))
                pause_seconds = FAILED_PAUSE_SECONDS
                continue
            self._tell(frozenset(done.problems))
            pause_seconds = done.pause_seconds
            if done.did:
                logger.info("maintenance: %s", done.did)

    def _tell(self, problems: frozenset[str]) -> None:
        for problem in sorted(problems - self._told):
            logger.warning("%s", problem)
        self._told = problems
