"""One collector per ledger, by a lock file of our own.

DuckDB locks its file too, but its message names only a process id, and its lock is lost when the process itself opens
and closes the file. `flock` belongs to the open descriptor and goes when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from collector.store.errors import StoreLocked


class InstanceLock:
    """An exclusive `flock` on `path`; its text says who holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `StoreLocked` naming the holder. Never waits."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "an unknown process"
            os.close(descriptor)
            raise StoreLocked(
                f"{self._path.parent}: another collector holds this ledger ({holder}). Stop it first, or set "
                "exporters.duckdb.path to another file."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
