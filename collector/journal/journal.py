"""The journal: groups of requests in, durable when `append` returns; out again after a crash.

Files hold the records in order, 64 MB each. A file whose records are all in the ledger is deleted; one in which damage
was found is kept under another name instead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from collector.decode.request import Request
from collector.errors import StoreUnavailable
from collector.journal.attempts import Attempts
from collector.journal.disk import Disk, read_file
from collector.journal.logfile import LogFile, files_in, named
from collector.journal.record import Damage, Found, Record, read, scan

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Told in one sentence what an operator should know."""


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """Where the journal lies and how its files grow."""

    folder: Path
    free_space_floor_bytes: int = 256 << 20
    """Below this much free disk nothing is acknowledged: what was must still find room in the ledger."""
    file_bytes: int = 64 << 20
    """A file is left for a new one at this size. Larger: more is read again after a crash, and freed later. Smaller:
    a new file, which costs a few milliseconds, is begun more often."""
    ahead_bytes: int = 4 << 20
    """Step in which room is allocated ahead. Larger: an idle collector holds that much disk. Smaller: more of the
    syncs have to find room, which makes them half as slow again."""


@dataclass(frozen=True, slots=True)
class _Closed:
    """A file that is not written any more."""

    path: Path
    last: int  # number of its last record
    size_bytes: int
    damaged: bool = False


class Journal:
    """`start()` finds what is there, `stop()` closes. `append` belongs to one thread, `release` and `load` to any."""

    def __init__(self, config: JournalConfig, report: Report = logger.warning, disk: Disk | None = None) -> None:
        self._config = config
        self._report = report
        self._disk = disk or Disk()
        self._lock = Lock()  # over the two that follow
        self._closed: list[_Closed] = []
        self._current: LogFile | None = None
        self._next = 1
        self._given_up = 0  # files that failed
        self.attempts = Attempts(config.folder / "replaying")
        """What is replayed now."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all records that are kept."""
        with self._lock:
            written_bytes = self._current.size_bytes if self._current else 0
            return written_bytes + sum(file.size_bytes for file in self._closed)

    @property
    def file_count(self) -> int:
        """Files that are kept."""
        with self._lock:
            return len(self._closed) + (self._current is not None)

    @property
    def last(self) -> int:
        """The highest record number that was given so far; 0 at first."""
        return self._next - 1

    def start(self, applied: int) -> None:
        """Look through the files; records up to `applied` are in the ledger. Nothing is deleted. Raises OSError."""
        folder = self._config.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._disk.sync_folder(folder.parent)
        last, paths = applied, files_in(folder)
        for number, path in enumerate(paths, 1):
            newest = number == len(paths)
            last_possible = 0 if newest else named(paths[number])[0] - 1
            if newest or last_possible > applied:
                closed = self._look_through(path, newest)
            else:
                closed = _Closed(path, last_possible, path.stat().st_size)
            last = max(last, closed.last)
            self._closed.append(closed)
        self._next = last + 1

    def load(self, first: int, last: int) -> Iterator[Record]:
        """The sound records from `first` to `last`, in order."""
        with self._lock:
            files = [(file.path, file.last) for file in self._closed]
            if self._current is not None:
                files.append((self._current.path, self._current.last))
        for path, last_there in files:
            if last_there >= first and named(path)[0] <= last:
                data, _ = read_file(path)
                for found in scan(data, named(path)[1]):
                    if isinstance(found, Found) and first <= found.number <= last:
                        yield read(data, found)

    def append(self, requests: Sequence[Request], received_at_ns: int) -> int:
        """Make some requests durable with one sync; the number of the first, the others follow it.

        Raises StoreUnavailable when the disk is full or fails: then none of them is there.
        """
        given_up = self._given_up
        try:
            self._check_room()
            try:
                return self._append(requests, received_at_ns)
            except OSError:
                if self._given_up == given_up:
                    raise
            return self._append(requests, received_at_ns)  # into a new file, which may lie where the disk is sound
        except OSError as error:
            raise StoreUnavailable(f"{self._config.folder}: cannot be written: {error}") from error

    def why_full(self) -> str | None:
        """Why nothing may be appended, when the disk is nearly full or gone; else None."""
        try:
            free_bytes = self._disk.free_bytes(self._config.folder)
        except OSError as error:
            return f"{self._config.folder}: {error}"
        if free_bytes >= self._config.free_space_floor_bytes:
            return None
        return f"{self._config.folder}: {free_bytes >> 20} MiB of disk left, nothing is accepted"

    def release(self, applied: int) -> None:
        """Delete the files of which only records up to `applied` are left; keep the damaged ones aside.

        These records are in the ledger and survive the loss of its log (`Store.settled`).
        """
        with self._lock:
            done = [file for file in self._closed if file.last <= applied]
            self._closed = [file for file in self._closed if file.last > applied]
        for file in done:
            try:
                if file.damaged:
                    file.path.rename(file.path.with_suffix(".damaged"))
                else:
                    file.path.unlink()
            except OSError as error:
                logger.warning("%s: its requests are in the ledger, and it cannot be deleted: %s", file.path, error)

    def stop(self, applied: int) -> None:
        """Close the files; those of which nothing is needed any more are deleted."""
        self._leave_current()
        self.release(applied)

    def _append(self, requests: Sequence[Request], received_at_ns: int) -> int:
        if self._current is not None and self._current.size_bytes >= self._config.file_bytes:
            self._leave_current()
        first = self._next
        if self._current is None:
            created = LogFile.create(self._config.folder, first, self._disk, self._config.ahead_bytes)
            with self._lock:
                self._current = created
        # A number is given once, also when the write fails: what a failing disk kept of it can never be taken for
        # another record.
        self._next = first + len(requests)
        try:
            self._current.append(first, received_at_ns, requests)
        except OSError as error:
            if self._current.broken:
                self._report(f"{self._current.path}: given up after: {error}")
                self._leave_current()
                self._given_up += 1
            raise
        return first

    def _leave_current(self) -> None:
        with self._lock:
            file, self._current = self._current, None
            if file is not None:
                self._closed.append(_Closed(file.path, file.last, file.size_bytes))
        if file is not None:
            file.close()

    def _check_room(self) -> None:
        full = self.why_full()
        if full is not None:
            raise StoreUnavailable(full)

    def _look_through(self, path: Path, newest: bool) -> _Closed:
        """What a file holds. The end of a record that a crash cut short is removed: it was never acknowledged."""
        first, marker = named(path)
        last, damaged, end = first - 1, False, 0
        data, lost_bytes = read_file(path)
        for found in scan(data, marker):
            if isinstance(found, Damage):
                if found.tail and newest and not lost_bytes:
                    logger.debug("%s: %d bytes of an unfinished write removed", path, found.end - found.start)
                    os.truncate(path, found.start)
                    break
                damaged = True
                self._report(
                    f"{path}: bytes {found.start} to {found.end} are damaged, behind record {last}: requests in them "
                    "are lost, those before and behind are not. The file is kept."
                )
            else:
                last, end = found.number, found.end
        return _Closed(path, last, end, damaged)
