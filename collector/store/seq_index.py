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
_RECENT_ENTRIES = 65_536
_RUNS = 6


class SeqIndex:
    """Hash -> value (0 or more); of two values for one key the later one holds. Not thread-safe."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._recent: dict[int, int] = {}
        self._runs: list[tuple[Hashes, Values]] = []

    def __len__(self) -> int:
        """Entries held, counting a key once per run that has it."""
        return len(self._recent) + sum(len(keys) for keys, _ in self._runs)

    def find(self, hashes: Hashes) -> Values:
        """The value of each hash, `ABSENT` where there is none."""
        recent = self._recent
        found = np.fromiter((recent.get(key, ABSENT) for key in hashes.tolist()), np.int64, len(hashes))
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
        self._recent.update(zip(hashes.tolist(), values.tolist(), strict=True))
        if len(self._recent) > _RECENT_ENTRIES:
            self._settle()

    def load(self, hashes: Hashes, values: Values) -> None:
        """Add many entries at once, as at start."""
        order = np.argsort(hashes, kind="stable")
        self._runs.append((hashes[order], values[order]))
        self._merge()

    def _settle(self) -> None:
        count = len(self._recent)
        keys = np.fromiter(self._recent.keys(), np.uint64, count)
        values = np.fromiter(self._recent.values(), np.int64, count)
        self._recent = {}
        order = np.argsort(keys)
        self._runs.append((keys[order], values[order]))
        if len(self._runs) > _RUNS:
            self._merge()

    def _merge(self) -> None:
        """One run from all, later runs winning, cut to the capacity by dropping the smallest values."""
        keys = np.concatenate([run_keys for run_keys, _ in reversed(self._runs)])
        values = np.concatenate([run_values for _, run_values in reversed(self._runs)])
        unique, first = np.unique(keys, return_index=True)
        values = values[first]
        if len(unique) > self._capacity:
            keep = np.sort(np.argpartition(values, len(values) - self._capacity)[-self._capacity :])
            unique, values = unique[keep], values[keep]
        self._runs = [(unique, values)]
