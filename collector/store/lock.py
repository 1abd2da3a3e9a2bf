"""One collector per ledger, by a lock file of our own.

DuckDB locks its file too, but its message names only a process id, and its lock is lost when the process itself opens
and closes the file. `flock` belongs to the open descriptor and goes when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from collector.store.errors import StoreLocked

_POLL_SECONDS = 0.05


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _said(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"


class InstanceLock:
    """An exclusive `flock` on `path`; its text says who holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, wait_seconds: float = 0) -> None:
        """Take the lock or, after `wait_seconds`, raise `StoreLocked` naming the holder."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + wait_seconds
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                holder = _said(descriptor)
                os.close(descriptor)
                raise StoreLocked(
                    f"{self._path.parent}: another collector holds this ledger ({holder}). Stop it first, or set "
                    "exporters.duckdb.path to another file."
                )
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._descriptor = descriptor

    def is_held(self) -> bool:
        """Whether some process holds it now."""
        return self.holder() is not None

    def holder(self) -> str | None:
        """The process that holds it now, and where that runs; None: nobody does."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return None if _locked(descriptor, fcntl.LOCK_SH) else _said(descriptor)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
