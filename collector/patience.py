"""Work that may be refused for now, done again and again until it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from collector import telemetry as metrics
from collector.errors import RetryableError
from collector.telemetry import Telemetry

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Abandoned(Exception):
    """The collector ends; what is left stays in the journal."""


class Patience:
    """Belongs to one thread; `abandon` and `waiting` are for others. `pauses_seconds`: the first and the longest."""

    def __init__(self, telemetry: Telemetry, pauses_seconds: tuple[float, float]) -> None:
        self._telemetry = telemetry
        self._pauses_seconds = pauses_seconds
        self._abandoned = Event()
        self.waiting: str | None = None
        """Why work is refused for now; None when it is not."""

    @property
    def abandoned(self) -> bool:
        """Whether nothing is tried again."""
        return self._abandoned.is_set()

    def abandon(self) -> None:
        """Raise Abandoned in whatever waits, instead of trying it again."""
        self._abandoned.set()

    def keep_trying(self, work: Callable[[], T]) -> T:
        """What `work` returns, as soon as it raises no RetryableError. Whatever else it raises is raised."""
        pause_seconds, longest_seconds = self._pauses_seconds
        while True:
            try:
                result = work()
            except RetryableError as error:
                self._telemetry.add(metrics.APPLY_RETRIES)
                if self.waiting is None:
                    logger.warning("acknowledged spans wait in the journal, will keep trying: %s", error)
                self.waiting = str(error)
                if self._abandoned.wait(pause_seconds):
                    raise Abandoned from error
                pause_seconds = min(pause_seconds * 2, longest_seconds)
            else:
                if self.waiting is not None:
                    logger.warning("acknowledged spans reach the ledger again")
                self.waiting = None
                return result
