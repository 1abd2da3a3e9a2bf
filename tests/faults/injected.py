"""The collector with faults that no test can do from outside, moved while it runs by files in a folder.

    python -m tests.faults.injected FOLDER collect --config ...

`sync_seconds`: how long each sync of the journal takes. `clock_seconds`: by how much the time of day is wrong.
`free_bytes`: what is left of the disk. `poison`: normalising fails while it is there. As root the process also gives up
the right to ignore file modes, so that a folder without the right to write is what it is for everybody else.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

_CAPABILITY_VERSION_3 = 0x20080522
_DAC_OVERRIDE = 1 << 1


class Faults:
    """What the files say now; nothing where there is no file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def number(self, name: str) -> float | None:
        """The number in a file."""
        try:
            return float((self._folder / name).read_text() or 0)
        except FileNotFoundError:
            return None

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self._folder / name).exists()


def obey_file_modes() -> None:
    """Root ignores them by a capability, which is given up here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    failed = libc.capget(header, data)
    data[0] &= ~_DAC_OVERRIDE  # of the effective ones
    if failed or libc.capset(header, data):
        raise OSError(ctypes.get_errno(), "the right to ignore file modes cannot be given up")


def shift_clock(faults: Faults) -> None:
    """`time.time`, `time.time_ns` and `datetime.now`; monotonic clocks go on. Before the collector is imported."""
    wall, wall_ns, real = time.time, time.time_ns, datetime.datetime

    class Shifted(real):  # type: ignore[valid-type, misc]
        __slots__ = ()  # of the same size in memory

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return real.fromtimestamp(wall() + (faults.number("clock_seconds") or 0), tz)

    time.time = lambda: wall() + (faults.number("clock_seconds") or 0)
    time.time_ns = lambda: wall_ns() + int(faults.number("clock_seconds") or 0) * 10**9
    datetime.datetime = Shifted  # type: ignore[misc]


def fill_disk(faults: Faults) -> None:
    """What the collector asks the system."""
    usage = shutil.disk_usage

    def disk_usage(path: Any) -> Any:
        found, free = usage(path), faults.number("free_bytes")
        return found if free is None else found._replace(free=int(free))

    from collector.journal.disk import Disk

    free_bytes = Disk.free_bytes

    def journal_free_bytes(self: Disk, folder: Path) -> int:
        free = faults.number("free_bytes")
        return free_bytes(self, folder) if free is None else int(free)

    shutil.disk_usage = disk_usage
    Disk.free_bytes = journal_free_bytes  # type: ignore[method-assign]


def slow_sync(faults: Faults) -> None:
    """Each sync of the journal waits first."""
    from collector.journal.disk import Disk

    sync = Disk.sync

    def slow(self: Disk, descriptor: int) -> None:
        time.sleep(faults.number("sync_seconds") or 0)
        sync(self, descriptor)

    Disk.sync = slow  # type: ignore[method-assign]


def poison(faults: Faults) -> None:
    """A stage that fails on whatever it is given."""
    from collector.pipeline import Pipeline

    ledger = Pipeline.ledger

    def failing(self: Pipeline, *given: Any) -> Any:
        if faults.has("poison"):
            raise ValueError("poisoned")
        return ledger(self, *given)

    Pipeline.ledger = failing  # type: ignore[method-assign, assignment]


def main() -> None:
    """Run the collector's command line with the faults in the folder that comes first."""
    faults = Faults(Path(sys.argv.pop(1)))
    obey_file_modes()
    shift_clock(faults)
    for inject in (fill_disk, slow_sync, poison):
        inject(faults)
    from otel_cost.__main__ import main as program

    program()


if __name__ == "__main__":
    main()
