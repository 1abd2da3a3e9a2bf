"""The file that leases survive a killed collector in: what happens to leases, appended with write(), never synced.

What it is for, a process that is gone, needs no sync; after a power loss leases are forgotten, and their calls count
when their spans come. Where nothing can be written, leases go on without.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from collector.budgets.lease_lines import Line, read_line

ROTATED_AT_BYTES = 16 * 1024 * 1024
"""A file that is larger, and twice as large as it began, is begun anew with the leases there are. Larger: a start reads
for longer (a second for about 30 MB). Smaller: more often a step takes as long as writing all leases does."""


class LeaseLog:
    """One file. Not thread-safe. Nothing raises OSError: what could not be written is counted."""

    def __init__(self, path: Path) -> None:
        self.failures = 0
        self.unreadable = 0
        """Lines that were no whole ones when the file was read: the last one of a killed process."""
        self._path = path
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._full_bytes = ROTATED_AT_BYTES
        self._is_torn = False

    def lines(self) -> Iterator[Line]:
        """What the file says; nothing if there is none."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            self.failures += self._path.exists()
            return
        for line in filter(None, text.split("\n")):
            try:
                found = read_line(line)
            except ValueError:
                self.unreadable += 1
                continue
            yield found

    def start(self, states: Iterable[str]) -> None:
        """Begin the file anew with these lines."""
        aside = self._path.with_name(self._path.name + ".new")
        data = "".join(f"{line}\n" for line in states).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(data)
            descriptor = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError:
            self._failed()
            return
        try:
            aside.replace(self._path)
        except OSError:
            os.close(descriptor)
            self._failed()
            return
        self.close()
        self._descriptor, self._size_bytes, self._is_torn = descriptor, len(data), False
        self._full_bytes = max(ROTATED_AT_BYTES, 2 * len(data))

    def append(self, line: str) -> bool:
        """Whether the file is full: it wants a `start`."""
        data = (f"\n{line}\n" if self._is_torn else f"{line}\n").encode()
        self._size_bytes += len(data)
        if self._descriptor is not None:
            try:
                self._is_torn = os.write(self._descriptor, data) < len(data)
            except OSError:
                self._is_torn = True
            self.failures += self._is_torn
        return self._size_bytes > self._full_bytes

    def close(self) -> None:
        """Nothing is written any more, until the next `start`."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _failed(self) -> None:
        """Try again to begin a file when as much again would have been written."""
        self.failures += 1
        self._full_bytes = self._size_bytes + ROTATED_AT_BYTES
