"""A queue that is bounded in bytes and never makes its producer wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import Condition
from time import monotonic

from collector.forward.job import ForwardJob


class ForwardQueue:
    """Jobs that wait for one target, with the time at which each came. One producer side, one consumer thread."""

    def __init__(self, max_bytes: int, drop_oldest: bool) -> None:
        self._max_bytes = max_bytes
        self._drop_oldest = drop_oldest
        self._jobs: deque[tuple[float, ForwardJob]] = deque()
        self._bytes = 0
        self._changed = Condition()
        self._closed = False

    @property
    def size_bytes(self) -> int:
        """Bytes of the jobs that wait."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def offer(self, job: ForwardJob) -> list[ForwardJob]:
        """Add a job; returns the jobs that gave way for lack of room, perhaps the job itself."""
        dropped: list[ForwardJob] = []
        with self._changed:
            if self._closed or job.size_bytes > self._max_bytes:
                return [job]
            while self._bytes + job.size_bytes > self._max_bytes:
                if not self._drop_oldest:
                    return [job]
                _, oldest = self._jobs.popleft()
                self._bytes -= oldest.size_bytes
                dropped.append(oldest)
            self._jobs.append((monotonic(), job))
            self._bytes += job.size_bytes
            self._changed.notify()
        return dropped

    def take(self, max_bytes: int, max_jobs: int) -> Sequence[tuple[float, ForwardJob]]:
        """Wait for work and take as much of it as one request may carry; empty when closed and drained."""
        taken: list[tuple[float, ForwardJob]] = []
        taken_bytes = 0
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            while self._jobs and len(taken) < max_jobs:
                taken_bytes += self._jobs[0][1].size_bytes
                if taken and taken_bytes > max_bytes:
                    break
                taken.append(self._jobs.popleft())
            self._bytes -= sum(job.size_bytes for _, job in taken)
        return taken

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the queue is closed."""
        until = monotonic() + seconds
        with self._changed:
            while not self._closed and (left := until - monotonic()) > 0:
                self._changed.wait(left)

    def close(self) -> None:
        """Take nothing new and wake the consumer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> list[ForwardJob]:
        """Remove what is left."""
        with self._changed:
            left = [job for _, job in self._jobs]
            self._jobs.clear()
            self._bytes = 0
        return left
