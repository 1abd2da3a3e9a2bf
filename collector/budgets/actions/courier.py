"""One thread per channel: whoever does not answer holds up nobody but himself."""

from __future__ import annotations

import heapq
import logging
import random
import time
from collections.abc import Callable
from threading import Condition, Thread

from collector.budgets.actions.messages import Notice
from collector.budgets.actions.outbox import Delivery, DeliveryState, after
from collector.budgets.actions.receivers import Tried, Verdict
from collector.budgets.model import Event
from otel_cost.recent import Recent

logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 30.0
"""The clock may be set while a courier waits for a time of day."""
RECORD_AGAIN_SECONDS = 1.0
MAX_DONE = 4096
"""Messages that are remembered so that none is sent again that somebody has read as pending a moment before."""

Send = Callable[[Notice], Tried]
Record = Callable[[Delivery], None]
Describe = Callable[[Event], Notice]


class Courier:
    """Sends the messages of one channel, one at a time, and writes down each try before the next.

    So of everything that a channel was told, at most one message is not known to be told when the process is killed.
    """

    def __init__(
        self,
        channel: str,
        send: Send,
        record: Record,
        describe: Describe,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.channel = channel
        self._send = send
        self._record = record
        self._describe = describe
        self._clock_ns = clock_ns
        self._changed = Condition()
        self._waiting: list[tuple[int, int, Delivery, Event]] = []
        self._held: set[str] = set()  # ids of what waits or is being tried
        self._done: Recent[str, int] = Recent(MAX_DONE)  # ids of what is delivered or dead: the tries it took
        self._number = 0
        self._stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, name=f"otel-cost-{self.channel}", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the try that is under way. One that lasts longer is made again after the next start."""
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def add(self, delivery: Delivery, event: Event) -> None:
        """Send this when it is due; nothing new when it is here already, or was read before its last try."""
        with self._changed:
            if delivery.id in self._held or delivery.attempts < (self._done.get(delivery.id) or 0):
                return
            self._held.add(delivery.id)
            self._number += 1
            heapq.heappush(self._waiting, (delivery.next_try_at_ns, self._number, delivery, event))
            self._changed.notify_all()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            delivery, event = item
            tried = self._try(event)
            done = after(delivery, tried, self._clock_ns(), random.random())
            if not self._recorded(done):
                return
            with self._changed:
                self._held.discard(done.id)
                if done.state is not DeliveryState.PENDING:
                    self._done.put(done.id, done.attempts)
            if done.state is DeliveryState.PENDING:
                self.add(done, event)
            elif done.state is DeliveryState.DEAD:
                logger.error("%s: given up after %d tries: %s", self.channel, done.attempts, done.last_error)

    def _next(self) -> tuple[Delivery, Event] | None:
        with self._changed:
            while not self._stopping:
                wait_ns = self._waiting[0][0] - self._clock_ns() if self._waiting else None
                if wait_ns is not None and wait_ns <= 0:
                    return heapq.heappop(self._waiting)[2:]
                self._changed.wait(LONGEST_SLEEP_SECONDS if wait_ns is None else min(wait_ns / 1e9, 30.0))
        return None

    def _try(self, event: Event) -> Tried:
        try:
            return self._send(self._describe(event))
        except Exception as error:  # our fault; the next version may do better, and others are not held up
            logger.exception("%s: sending failed", self.channel)
            return Tried(Verdict.RETRY, f"internal: {type(error).__name__}")

    def _recorded(self, done: Delivery) -> bool:
        """Write it down, however long that takes; False when the process stops before."""
        while True:
            try:
                self._record(done)
                return True
            except Exception as error:  # nothing more is sent until this is known
                logger.warning("%s: what became of a message cannot be written now: %s", self.channel, error)
            with self._changed:
                if not self._stopping:
                    self._changed.wait(RECORD_AGAIN_SECONDS)
                if self._stopping:
                    return False
