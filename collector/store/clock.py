"""The time of day, and whether it can be believed: what is removed by age is gone, so one wrong clock must not do it.

A clock is wrong after a dead battery, in a restored virtual machine, or by a typing mistake; it may be put right later.
So a clock that went ahead is believed once it has run on for a day. One that went back needs no care: less is too old.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

JUMP_SECONDS = 3_600.0
"""So much more than has passed is a jump, while the collector runs. Lower: a clock that is set after a cold start is
doubted. Higher: spans are removed so much too early."""

ABSENT_SECONDS = 86_400.0
"""So much later than at the end of the last run, nobody can tell a wrong clock from a collector that did not run."""

BELIEVED_SECONDS = 86_400.0
"""A clock that runs on for so long is believed. Longer: spans stay after their time. Shorter: nobody looks in time."""

_KEEP_SECONDS = 60.0
_KEPT = struct.Struct("<d")


def _since_boot_seconds() -> float:
    """A clock that nobody sets; on Linux it goes on while the machine sleeps."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Doubt(Enum):
    """What speaks against a time."""

    JUMPED = "the clock went ahead while the collector ran"
    ABSENT = "the clock is far later than at the end of the last run"


@dataclass(frozen=True, slots=True)
class Reading:
    """The time, and what speaks against it."""

    now: datetime
    doubt: Doubt | None = None


class WallClock:
    """Reads the time of day; `path` keeps the last time that was believed. Belongs to one thread."""

    def __init__(
        self,
        path: Path,
        wall: Callable[[], float] | None = None,
        steady: Callable[[], float] = _since_boot_seconds,
    ) -> None:
        self._path = path
        self._wall = wall or time.time
        self._steady = steady
        self._believed: tuple[float, float] | None = None  # the last believed reading of both
        self._doubt: Doubt | None = None
        self._doubted_seconds = 0.0  # since when
        self._kept_seconds = 0.0

    def read(self) -> Reading:
        """The time now. The first reading is compared with the last one of the run before."""
        wall_seconds, steady_seconds = self._wall(), self._steady()
        if self._believed is None:
            kept_seconds = self._load()
            if kept_seconds is not None and wall_seconds > kept_seconds + ABSENT_SECONDS:
                self._doubt, self._doubted_seconds = Doubt.ABSENT, steady_seconds
                wall_believed = kept_seconds
            else:
                wall_believed = wall_seconds
            self._believed = (wall_believed, steady_seconds)
        ahead_seconds = wall_seconds - self._believed[0] - (steady_seconds - self._believed[1])
        if ahead_seconds <= JUMP_SECONDS or (self._doubt and self._is_over(steady_seconds)):
            self._doubt, self._believed = None, (wall_seconds, steady_seconds)
            self._keep(wall_seconds)
        elif self._doubt is None:
            self._doubt, self._doubted_seconds = Doubt.JUMPED, steady_seconds
        return Reading(datetime.fromtimestamp(wall_seconds, UTC), self._doubt)

    def _is_over(self, steady_seconds: float) -> bool:
        return steady_seconds - self._doubted_seconds >= BELIEVED_SECONDS

    def _load(self) -> float | None:
        with contextlib.suppress(OSError, struct.error):
            return float(_KEPT.unpack(self._path.read_bytes())[0])
        return None

    def _keep(self, wall_seconds: float) -> None:
        """Without fsync: after a power cut it is merely too early. On a full disk the old one stays."""
        if abs(wall_seconds - self._kept_seconds) >= _KEEP_SECONDS:
            self._kept_seconds = wall_seconds
            with contextlib.suppress(OSError):
                self._path.write_bytes(_KEPT.pack(wall_seconds))
