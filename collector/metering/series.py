"""The series of spend: a bounded number of combinations of label values, whose numbers never fall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from collector.exposition import Exemplar
from collector.metering.groups import Amounts, Groups, Labels
from collector.metering.table import QUANTITIES

OTHER = "other"
"""What a label shows whose values are too many."""


class Series(NamedTuple):
    """The numbers of one combination, in the order of `QUANTITIES`."""

    labels: Labels
    shown: Sequence[int]
    exemplar: Exemplar | None


class SpendSeries:
    """Series by label values, at most `most` and one.

    The first combinations that come have series of their own, up to half of the bound. What comes then is shown with
    `other` in its last label; when those series are too many too, in the last two, and so on. Each of these levels may
    have an equal part of the other half. A combination keeps its place for good, across restarts too (`saved`).

    Of each number there are two. `real` is what the ledger's commits add up to. `shown` is the highest that it has ever
    been: where a call moves to another series, because its trace has told who made it, the first one waits until as
    much has come again. So a sum over time of what is shown is right within what has moved, and no fall is taken for a
    restart.
    """

    def __init__(self, labels: Sequence[str], most: int) -> None:
        self.labels = tuple(labels)
        self.most = most
        self.other_calls = 0
        self._keys: list[Labels] = []
        self._levels: list[int] = []  # how many labels each series shows; the others are `other`
        self._used = [0] * (len(labels) + 1)  # series by level
        self._exemplars: list[Exemplar | None] = []
        self._real: Amounts = np.zeros((0, len(QUANTITIES)), object)  # a row per series
        self._shown: Amounts = np.zeros((0, len(QUANTITIES)), object)
        self._numbers: dict[Labels, int] = {}  # of series
        self._places: dict[Labels, int] = {}  # of combinations that were met: which series
        deeper = max(1, len(labels) - 1)
        self._room = [1, *[max(1, most // (2 * deeper))] * (len(labels) - 1), max(1, most // 2)]

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Series]:
        return iter(
            [Series(*each) for each in zip(self._keys, self._shown[: len(self)].tolist(), self._exemplars, strict=True)]
        )

    def add(self, groups: Groups, sign: int) -> None:
        """Calls count from now on (1), or do not count so any more (-1)."""
        places = np.fromiter(map(self._placed, groups.labels), np.int64, len(groups.labels))
        if sign > 0:
            other = np.array([self._levels[place] < len(self.labels) for place in places.tolist()], np.bool_)
            self.other_calls += int(groups.amounts[other, _CALLS].sum()) if other.any() else 0
        touched, of_touched = np.unique(places, return_inverse=True)
        sums = np.zeros((len(touched), len(QUANTITIES)), object)
        np.add.at(sums, of_touched, groups.amounts.astype(object))
        self._real[touched] += sign * sums
        self._shown[touched] = np.maximum(self._shown[touched], self._real[touched])

    def example(self, labels: Labels, exemplar: Exemplar) -> None:
        """A call of this combination, which has been added."""
        self._exemplars[self._placed(labels)] = exemplar

    def saved(self) -> list[dict[str, Any]]:
        """Everything, for `load`."""
        count = len(self)
        rows = zip(self._keys, self._levels, self._real[:count].tolist(), self._shown[:count].tolist(), strict=True)
        return [{"labels": key, "level": level, "real": real, "shown": shown} for key, level, real, shown in rows]

    def load(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """What `saved` gave; raises KeyError, TypeError or ValueError for anything else."""
        for each in saved:
            key, real, shown = tuple(map(str, each["labels"])), [*map(int, each["real"])], [*map(int, each["shown"])]
            if len(key) != len(self.labels) or not len(real) == len(shown) == len(QUANTITIES):
                raise ValueError("of another version")
            number = self._admit(key, int(each["level"]))
            self._real[number], self._shown[number] = real, shown

    def _placed(self, labels: Labels) -> int:
        known = self._places.get(labels)
        if known is not None:
            return known
        number = self._find(labels)
        if len(self._places) < _REMEMBERED * self.most:  # what is not remembered is looked for again
            self._places[labels] = number
        return number

    def _find(self, labels: Labels) -> int:
        for level in range(len(labels), 0, -1):
            key = (*labels[:level], *(OTHER,) * (len(labels) - level))
            if key in self._numbers:
                return self._numbers[key]
            if self._used[level] < self._room[level]:
                return self._admit(key, level)
        key = (OTHER,) * len(labels)
        return self._numbers[key] if key in self._numbers else self._admit(key, 0)

    def _admit(self, key: Labels, level: int) -> int:
        number = self._numbers[key] = len(self._keys)
        self._keys.append(key)
        self._levels.append(level)
        self._used[level] += 1
        self._exemplars.append(None)
        if number == len(self._real):
            room = np.zeros((max(16, number), len(QUANTITIES)), object)
            self._real, self._shown = np.concatenate([self._real, room]), np.concatenate([self._shown, room])
        return number


_CALLS = next(place for place, quantity in enumerate(QUANTITIES) if quantity.name == "calls")
_REMEMBERED = 16
"""Combinations whose place is remembered, times the bound on series: 200 bytes each."""
