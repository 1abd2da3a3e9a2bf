"""A process that dies at a chosen step: before any call that changes what is on disk.

`Death.KILL` leaves the disk as it is. `Death.POWER` takes back whatever was not synced, and the log of the manifest
with it: names whose folder was not synced, content of files that were not, deletions.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from enum import Enum
from functools import wraps
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from collector.journal import disk

DIED = 9
_SAVED = "before"
"""Beside the ledger: what power loss may bring back."""
_STATEMENTS = ("CHECKPOINT", "DETACH")


class Death(Enum):
    """How it ends."""

    KILL = "kill"
    POWER = "power"


class Steps:
    """Counts the steps of this process and ends it before number `last`."""

    def __init__(self, folder: Path, last: int, death: Death) -> None:
        self._folder = folder
        self._left = last
        self._death = death
        self._synced: set[str] = set()  # files
        self._undo: dict[str, list[Callable[[], None]]] = {}  # folder -> what takes back its unsynced changes

    def install(self) -> None:
        """Put itself before the calls."""
        (self._folder / _SAVED).mkdir()
        for name in ("replace", "rename", "unlink", "fsync", "fdatasync", "mkdir", "pwritev", "truncate"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        disk._sync = os.fdatasync
        connect = duckdb.connect
        duckdb.connect = lambda *args, **options: _Connection(connect(*args, **options), self)

    def step(self) -> None:
        """One more."""
        self._left -= 1
        if self._left == 0:
            if self._death is Death.POWER:
                self._lose()
            os._exit(DIED)

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            self.step()
            undo = self._undoing(name, args) if self._death is Death.POWER else None
            found = function(*args, **options)
            if undo is not None:
                folder, take_back = undo
                self._undo.setdefault(folder, []).append(take_back)
            return found

        return call

    def _undoing(self, name: str, args: tuple[Any, ...]) -> tuple[str, Callable[[], None]] | None:
        """The folder that must be synced for a call to last, and what takes it back."""
        if name in ("fsync", "fdatasync"):
            path = os.readlink(f"/proc/self/fd/{args[0]}")
            self._synced.add(path)
            self._undo.pop(path, None)
            return None
        if name == "mkdir":
            path = os.path.abspath(args[0])
            return os.path.dirname(path), lambda: shutil.rmtree(path, ignore_errors=True)
        if name == "unlink" and os.path.exists(args[0]):
            path = os.path.abspath(args[0])
            saved = self._save(path)
            return os.path.dirname(path), lambda: None if os.path.exists(path) else _link(saved, path)
        if name in ("replace", "rename"):
            source, target = (os.path.abspath(each) for each in args[:2])
            saved = self._save(target) if os.path.exists(target) else ""
            if source not in self._synced and os.path.isfile(source):
                os.chmod(source, 0o644)
                self._undo.setdefault("", []).append(lambda: _emptied(target))
            return os.path.dirname(target), lambda: _restored(target, saved)
        return None

    def _save(self, path: str) -> str:
        saved = self._folder / _SAVED / str(len(os.listdir(self._folder / _SAVED)))
        os.link(path, saved)
        return str(saved)

    def _lose(self) -> None:
        for name in ("unlink", "mkdir"):
            setattr(os, name, getattr(os, name).__wrapped__)
        for undo in self._undo.values():
            for take_back in reversed(undo):
                take_back()
        for log in self._folder.glob("*.live/ledger.duckdb.wal"):
            os.unlink(log)


class _Connection:
    """A connection whose commits and checkpoints are steps."""

    def __init__(self, connection: Any, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps
        connection.execute("SET python_scan_all_frames = true")  # else tables are looked for in `execute` below alone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        """See DuckDB."""
        self._steps.step()
        self._connection.commit()

    def execute(self, sql: str, *parameters: Any) -> Any:
        """See DuckDB."""
        if sql.startswith(_STATEMENTS):
            self._steps.step()
        return self._connection.execute(sql, *parameters)


def _link(saved: str, path: str) -> None:
    if os.path.isdir(os.path.dirname(path)):
        os.link(saved, path)


def _emptied(path: str) -> None:
    if os.path.exists(path):
        os.truncate(path, 0)


def _restored(path: str, saved: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
    if saved:
        os.link(saved, path)


def run(work: Callable[[Path], None], folder: Path, last: int, death: Death) -> bool:
    """Do `work(folder)` in a process of its own; whether it came to its end before step number `last`."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.test_steps"])
    process = context.Process(target=_child, args=(work, folder, last, death))
    process.start()
    process.join(60)
    assert process.exitcode in (0, DIED), f"step {last}: exit code {process.exitcode}"
    return process.exitcode == 0


def _child(work: Callable[[Path], None], folder: Path, last: int, death: Death) -> None:
    Steps(folder, last, death).install()
    work(folder)
