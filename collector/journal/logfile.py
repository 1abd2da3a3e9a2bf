"""The file that a journal writes now, and the names of its files."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from collector.decode.request import Request
from collector.journal.disk import Disk, write_all
from collector.journal.record import MARKER_BYTES, frames

_NAME = re.compile(rf"(\d{{20}})-([0-9a-f]{{{2 * MARKER_BYTES}}})\.log")


class LogFile:
    """One file, open for appending. When `broken`, nothing may be appended any more."""

    def __init__(self, path: Path, marker: bytes, descriptor: int, disk: Disk, ahead_bytes: int) -> None:
        self.path = path
        self.broken = False
        self.size_bytes = 0
        """Up to the last record that was synced."""
        self.last = named(path)[0] - 1
        """Number of that record."""
        self._marker = marker
        self._descriptor = descriptor
        self._disk = disk
        self._ahead_bytes = ahead_bytes
        self._allocated_bytes = 0

    @staticmethod
    def create(folder: Path, first: int, disk: Disk, ahead_bytes: int) -> LogFile:
        """A new file for records from number `first` on. Raises OSError."""
        marker = secrets.token_bytes(MARKER_BYTES)
        path = folder / f"{first:020d}-{marker.hex()}.log"
        return LogFile(path, marker, disk.create(path), disk, ahead_bytes)

    def append(self, first: int, received_at_ns: int, requests: Sequence[Request]) -> None:
        """Write the records of a group and sync them.

        Raises OSError: none of them counts as written. A write that failed is cut off again. After a failed sync
        nobody knows which pages are on disk, and a second sync would report success for lost ones; so the file is
        broken then, and also when it cannot be cut.
        """
        buffers = frames(self._marker, first, received_at_ns, requests)
        try:
            self._allocate(sum(map(len, buffers)))
            written_bytes = write_all(self._disk, self._descriptor, buffers, self.size_bytes)
        except OSError:
            self._cut()
            raise
        try:
            self._disk.sync(self._descriptor)
        except OSError:
            self._cut()
            self.broken = True
            raise
        self.size_bytes += written_bytes
        self.last = first + len(requests) - 1

    def close(self) -> None:
        """Give back the room behind the last record, and the descriptor."""
        with contextlib.suppress(OSError):
            self._disk.truncate(self._descriptor, self.size_bytes)
        os.close(self._descriptor)

    def _allocate(self, more_bytes: int) -> None:
        """Room for what comes, in large steps. Where that is not possible the write itself finds out."""
        end = self.size_bytes + more_bytes
        if end > self._allocated_bytes and self._ahead_bytes:
            step_bytes = -(-(end - self._allocated_bytes) // self._ahead_bytes) * self._ahead_bytes
            try:
                self._disk.allocate(self._descriptor, self._allocated_bytes, step_bytes)
                self._allocated_bytes += step_bytes
            except OSError:
                self._allocated_bytes = end

    def _cut(self) -> None:
        """Leave nothing of what was just written."""
        try:
            self._disk.truncate(self._descriptor, self.size_bytes)
            self._allocated_bytes = self.size_bytes
        except OSError:
            self.broken = True


def named(path: Path) -> tuple[int, bytes]:
    """The first record number and the marker that a file's name tells. Raises ValueError for other files."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path}: not a file of a journal")
    return int(match[1]), bytes.fromhex(match[2])


def files_in(folder: Path) -> list[Path]:
    """The journal's files there in the order of their records."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
