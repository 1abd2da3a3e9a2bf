"""Disks that fail on demand, and what journal tests have in common."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from collector.decode.request import Request
from collector.journal import Journal, JournalConfig, Record
from collector.journal.disk import Disk

RECEIVED_NS = 1_767_225_600_000_000_000


class FaultyDisk(Disk):
    """A real disk on which each call named in `faults` fails as many times as it says, with the given error.

    A write that fails has written half of its bytes before. Calls are counted in `calls`.
    """

    def __init__(self, **faults: tuple[int, int]) -> None:
        self.faults = faults
        self.calls: list[str] = []

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        """See Disk."""
        if self._fails("write"):
            joined = b"".join(buffers)
            super().write(descriptor, [joined[: len(joined) // 2]], offset)
            self._fail("write")
        return super().write(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        """See Disk."""
        if self._fails("sync"):
            self._fail("sync")
        super().sync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """See Disk."""
        if self._fails("truncate"):
            self._fail("truncate")
        super().truncate(descriptor, size_bytes)

    def allocate(self, descriptor: int, offset: int, size_bytes: int) -> None:
        """See Disk."""
        if self._fails("allocate"):
            self._fail("allocate")
        super().allocate(descriptor, offset, size_bytes)

    def create(self, path: Path) -> int:
        """See Disk."""
        if self._fails("create"):
            self._fail("create")
        return super().create(path)

    def _fails(self, call: str) -> bool:
        self.calls.append(call)
        return self.faults.get(call, (0, 0))[0] > 0

    def _fail(self, call: str) -> None:
        left, number = self.faults[call]
        self.faults[call] = (left - 1, number)
        raise OSError(number, os.strerror(number))


class FullDisk(Disk):
    """A disk with almost nothing left."""

    def free_bytes(self, folder: Path) -> int:
        """See Disk."""
        return 1_000


ENOSPC, EIO = errno.ENOSPC, errno.EIO


def requests(*bodies: bytes, org_id: str = "default") -> list[Request]:
    """Requests with these bodies; a journal does not look into them."""
    return [Request(body, org_id) for body in bodies]


def config(folder: Path, **changes: int) -> JournalConfig:
    """A journal in `folder`, whatever the disk has left."""
    return JournalConfig(folder, **{"free_space_floor_bytes": 0, **changes})


def opened(settings: JournalConfig, applied: int = 0, disk: Disk | None = None) -> tuple[Journal, list[str]]:
    """A journal that is started, and the list in which its reports arrive."""
    reports: list[str] = []
    journal = Journal(settings, reports.append, disk)
    journal.start(applied)
    return journal, reports


def everything(journal: Journal, first: int = 1) -> list[Record]:
    """All records from `first` on."""
    return list(journal.load(first, journal.last))


def bodies(journal: Journal, first: int = 1) -> list[bytes]:
    """The bodies of all records from `first` on."""
    return [record.request.body for record in everything(journal, first)]


def logs(folder: Path) -> list[Path]:
    """The journal's files in order."""
    return sorted(folder.glob("*.log"))
