"""Jobs that cost hours after they were begun, such as batches: what is held for them, and until when."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from otel_cost.guard.client import Client, Rejected, Unreachable
from otel_cost.guard.held import Held
from otel_cost.instrument.guard import STATS, guarded

HOLD_SECONDS = 25 * 3600
"""How long a batch is held for, unless its results are read before: providers give themselves a day. Longer, and
batches whose results nobody reads here keep budget from others; shorter, and slow ones are not held to their end."""
MAX_READ_JOBS = 1000
"""Batches whose results were read while the collector is down. More are forgotten, the oldest first: what is held for
them ends by time."""


@guarded
def hand_over(client: Client, held: Held) -> bool:
    """Have the collector keep what a lease holds for its job. Whether that is done, or will never be."""
    body: dict[str, Any] = {"lease": held.lease_id, "calls": [], "job": held.job, "hold_seconds": HOLD_SECONDS}
    try:
        client.post("settle", body)
    except Unreachable:
        return False
    except Rejected as error:
        STATS.failed("guard.hold", error)
    return True


class ReadJobs:
    """Those whose results were read, in that order, until the collector has heard of it. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: deque[str] = deque(maxlen=MAX_READ_JOBS)

    def __bool__(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._jobs)

    def add(self, job: str) -> None:
        """The results of a job were read."""
        with self._lock:
            self._jobs.append(job)

    @guarded
    def tell(self, client: Client) -> None:
        """Tell of each, as long as the collector answers."""
        while self._jobs:
            job = self._jobs[0]
            try:
                client.post("release", {"job": job})
            except Unreachable:
                return
            except Rejected as error:
                STATS.failed("guard.read", error)
            with self._lock:
                if self._jobs and self._jobs[0] is job:
                    self._jobs.popleft()
