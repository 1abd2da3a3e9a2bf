"""Calling the store's maintenance, one piece at a time, with rests: whoever waits for an answer comes first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic

from collector import memory
from collector.store.maintenance import FAILED_PAUSE_SECONDS, IDLE_PAUSE_SECONDS, Maintained
from collector.store.rewrite import Pause

logger = logging.getLogger(__name__)

REST_FACTOR = 4.0
"""Within a piece each step is followed by a rest of so many times the CPU that it took. Lower: a merge of millions of
rows and a dashboard's questions together leave acknowledgements waiting. Higher: at full rate merges fall behind, which
need about a twentieth of a core."""

GIVE_BACK_SECONDS = 10.0
"""How often free memory goes back to the system. More often: what the next group of spans takes is cleared anew page by
page. Less often: pages between pieces that stay pile up for as long as spans come without a break."""

LONGEST_REST_SECONDS = 0.5
"""Steps take milliseconds; one that took long held much, and should not go on doing so."""


class UpkeepTimer:
    """Calls `maintain` from a thread of its own and waits as long as it says. A failure is logged and tried again.

    What is reported again and again is logged once, until it is over.
    """

    def __init__(
        self, maintain: Callable[[Pause], Maintained], pause: Callable[[float], float] = lambda seconds: seconds
    ) -> None:
        self._maintain = maintain
        self._pause = pause
        self._stopped = Event()
        self._given_back_seconds = monotonic()
        self._told: frozenset[str] = frozenset()
        self._thread = Thread(target=self._run, name="otel-cost-upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the piece that is under way, which rests no more; it takes a few seconds at most."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_seconds = IDLE_PAUSE_SECONDS
        while not self._stopped.wait(self._pause(pause_seconds)):
            try:
                done = self._maintain(self._rest)
            except Exception as error:
                self._tell(frozenset({f"maintenance of the ledger failed, it is tried again: {error}"}))
                pause_seconds = FAILED_PAUSE_SECONDS
                continue
            self._tell(frozenset(done.problems))
            self._give_back()
            pause_seconds = done.pause_seconds
            if done.did:
                logger.info("maintenance: %s", done.did)

    def _give_back(self) -> None:
        if monotonic() - self._given_back_seconds >= GIVE_BACK_SECONDS:
            memory.give_back()
            self._given_back_seconds = monotonic()

    def _rest(self, cpu_seconds: float) -> None:
        self._stopped.wait(min(self._pause(cpu_seconds * REST_FACTOR), LONGEST_REST_SECONDS))

    def _tell(self, problems: frozenset[str]) -> None:
        for problem in sorted(problems - self._told):
            logger.warning("%s", problem)
        self._told = problems
