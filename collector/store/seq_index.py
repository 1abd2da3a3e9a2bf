"""A compact in-memory map from 64-bit hashes to 64-bit integers, newest entries kept.

It answers "has this trace been seen, and from which span on" without touching the disk. New entries live in a dict;
when it grows they become a sorted numpy run, and runs are merged. About 16 bytes per old entry. Rebuilt from the
ledger at start. Two keys with one hash are taken for one, so hashes must spread whatever ids apps count up
(`hashes.py`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collector.store.hashes import Hashes

Values = npt.NDArray[np.int64]

ABSENT = -1
_RUN_ENTRIES = 4_096
_LEAST_RUN = 512
"""Entries that come together and become a run at once: from here on sorting them takes less than a dict does."""
_RATIO = 4
_SLACK = 1.25
"""Entries beyond the capacity are dropped when there are so many times as many: each time all of them are looked at."""


class SeqIndex:
    """Hash -> value (0 or more); of two values for one key the later one holds. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._recent: dict[int, int] = {}
        self._runs: list[tuple[Hashes, Values]] = []
        self.largest_dropped = ABSENT
        """The largest value that fell out: everything above it is held."""

    def __len__(self) -> int:
        """Entries held, counting a key once per run that has it."""
        return len(self._recent) + sum(len(keys) for keys, _ in self._runs)

    def find(self, hashes: Hashes) -> Values:
        """The value of each hash, `ABSENT` where there is none."""
        recent = self._recent
        if recent:
            found = np.fromiter((recent.get(key, ABSENT) for key in hashes.tolist()), np.int64, len(hashes))
        else:
            found = np.full(len(hashes), ABSENT, np.int64)
        for keys, values in reversed(self._runs):
            missing = np.flatnonzero(found == ABSENT)
            if not len(missing) or not len(keys):
                break
            wanted = hashes[missing]
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hit = keys[at] == wanted
            found[missing[hit]] = values[at[hit]]
        return found

    def put(self, hashes: Hashes, values: Values) -> None:
        """Add entries, each key once."""
        if len(hashes) >= _LEAST_RUN:
            self._settle()
            self._add_run(hashes, values)
            return
        self._recent.update(zip(hashes.tolist(), values.tolist(), strict=True))
        if len(self._recent) >= _RUN_ENTRIES:
            self._settle()

    def load(self, hashes: Hashes, values: Values) -> None:
        """Add many entries at once, each key once, as at start."""
        self._add_run(hashes, values)

    def _settle(self) -> None:
        count = len(self._recent)
        if count:
            keys = np.fromiter(self._recent.keys(), np.uint64, count)
            values = np.fromiter(self._recent.values(), np.int64, count)
            self._recent = {}
            self._add_run(keys, values)

    def _add_run(self, hashes: Hashes, values: Values) -> None:
        order = np.argsort(hashes)
        self._runs.append((hashes[order], values[order]))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < _RATIO * len(self._runs[-1][0]):
            self._runs[-2:] = [_joined(*self._runs[-2:])]
        if sum(len(keys) for keys, _ in self._runs) > self._capacity * _SLACK:
            self._drop()

    def _drop(self) -> None:
        """One run of all, cut to the capacity by dropping the smallest values."""
        while len(self._runs) > 1:
            self._runs[-2:] = [_joined(*self._runs[-2:])]
        keys, values = self._runs[0]
        excess = len(keys) - self._capacity
        if excess > 0:
            least_kept = np.partition(values, excess)[excess]
            keep = values >= least_kept
            self.largest_dropped = max(self.largest_dropped, int(values[~keep].max(initial=ABSENT)))
            self._runs = [(keys[keep], values[keep])]


def _joined(older: tuple[Hashes, Values], newer: tuple[Hashes, Values]) -> tuple[Hashes, Values]:
    """One sorted run of two, the newer values winning."""
    (keys, values), (new_keys, new_values) = older, newer
    if not len(keys):
        return newer
    at = np.searchsorted(keys, new_keys)
    again = keys[np.minimum(at, len(keys) - 1)] == new_keys
    values = values.copy()
    values[at[again]] = new_values[again]
    fresh = ~again
    return np.insert(keys, at[fresh], new_keys[fresh]), np.insert(values, at[fresh], new_values[fresh])


class AgingIndex:
    """The same for values that say nothing of age: what was put in first falls out first, half of it at once."""

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young, self._old = SeqIndex(2 * capacity), SeqIndex(2 * capacity)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, hashes: Hashes) -> Values:
        """The value of each hash, `ABSENT` where there is none."""
        found = self._young.find(hashes)
        missing = np.flatnonzero(found == ABSENT)
        if len(missing) and len(self._old):
            found[missing] = self._old.find(hashes[missing])
        return found

    def put(self, hashes: Hashes, values: Values) -> bool:
        """Add entries. Whether others fell out."""
        self._young.put(hashes, values)
        if len(self._young) < self._half:
            return False
        self._young, self._old = SeqIndex(4 * self._half), self._young
        return True
