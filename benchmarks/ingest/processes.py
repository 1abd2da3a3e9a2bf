"""CPU and memory of a server: its whole process tree, read from /proc."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
QUIET_SHARE = 0.05  # of a core: what a server may use and still count as having nothing left to do


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says of a process."""

    pid: int
    parent: int
    session: int
    cpu_seconds: float  # its own and that of children which have ended
    rss_bytes: int


def _stat(pid: int) -> Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    rest = text[text.rindex(")") + 2 :].split()  # from field 3 on; the name before it may hold anything
    ticks = sum(int(rest[field]) for field in (11, 12, 13, 14))
    return Stat(pid, int(rest[1]), int(rest[3]), ticks / TICKS_PER_SECOND, int(rest[21]) * PAGE_BYTES)


def tree(root: int) -> list[Stat]:
    """The process, all below it, and all of the session it leads."""
    every = [stat for entry in os.listdir("/proc") if entry.isdigit() and (stat := _stat(int(entry))) is not None]
    mine = {root}
    grown = True
    while grown:
        more = {stat.pid for stat in every if stat.parent in mine or stat.session == root}
        grown = not more <= mine
        mine |= more
    return [stat for stat in every if stat.pid in mine]


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far."""
    return sum(stat.cpu_seconds for stat in tree(root))


def rss_bytes(root: int) -> int:
    """Resident memory of the tree; pages that its processes share are counted in each."""
    return sum(stat.rss_bytes for stat in tree(root))


def peak_rss_bytes(root: int) -> int:
    """Sum of the largest resident memory that each process of the tree has had."""
    total = 0
    for stat in tree(root):
        try:
            lines = Path(f"/proc/{stat.pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return total


def kill(root: int) -> None:
    """`kill -9` of the tree: stopped first, so that none of it notices the others going."""
    pids = [stat.pid for stat in tree(root)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def clean_up_when_told_to_end() -> None:
    """SIGTERM unwinds like Ctrl-C, so that no server outlives the benchmark."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def wait_until(done: Callable[[], bool], seconds: float, *, every: float = 0.1) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def wait_until_quiet(root: int, seconds: float, *, window_seconds: float = 1.0) -> bool:
    """Whether the tree came to rest in time: a whole window with next to no CPU."""

    def quiet() -> bool:
        before = cpu_seconds(root)
        time.sleep(window_seconds)
        return cpu_seconds(root) - before <= QUIET_SHARE * window_seconds

    return wait_until(quiet, seconds, every=0)
