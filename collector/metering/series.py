"""The series of spend: a bounded number of combinations of label values, whose numbers never fall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collector.exposition import Exemplar
from collector.metering.groups import Group, Labels
from collector.metering.table import QUANTITIES

OTHER = "other"
"""What a label shows whose values are too many."""


class Series:
    """The numbers of one combination, in the order of `QUANTITIES`.

    `real` is what the ledger's commits add up to. `shown` is the highest that it has ever been: where a call moves to
    another series, because its trace has told who made it, the first one waits until as much has come again. So a sum
    over time of what is shown is right within what has moved, and no fall is taken for a restart.
    """

    __slots__ = ("exemplar", "level", "real", "shown")

    def __init__(self, level: int, real: Sequence[int] = (), shown: Sequence[int] = ()) -> None:
        self.level = level  # how many labels are those of its calls; the others are `other`
        self.real = list(real) or [0] * len(QUANTITIES)
        self.shown = list(shown) or list(self.real)
        self.exemplar: Exemplar | None = None

    def add(self, amounts: Sequence[int], sign: int) -> None:
        """Some calls count from now on (1), or do not count so any more (-1)."""
        real, shown = self.real, self.shown
        for place, amount in enumerate(amounts):
            if amount:
                real[place] += sign * amount
                if real[place] > shown[place]:
                    shown[place] = real[place]


class SpendSeries:
    """Series by label values, at most `most` and one.

    The first combinations that come have series of their own, up to half of the bound. What comes then is shown with
    `other` in its last label; when those series are too many too, in the last two, and so on. Each of these levels may
    have an equal part of the other half. A combination keeps its place for good, across restarts too (`saved`).
    """

    def __init__(self, labels: Sequence[str], most: int) -> None:
        self.labels = tuple(labels)
        self.most = most
        self.other_calls = 0
        self._series: dict[Labels, Series] = {}
        self._places: dict[Labels, Labels] = {}  # of combinations that were met, without those of level 0
        self._used = [0] * (len(labels) + 1)  # series by how many labels they show
        deeper = max(1, len(labels) - 1)
        self._room = [1, *[max(1, most // (2 * deeper))] * (len(labels) - 1), max(1, most // 2)]

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[tuple[Labels, Series]]:
        return iter(list(self._series.items()))

    def add(self, groups: Iterable[Group], sign: int) -> None:
        """Calls count from now on (1), or do not count so any more (-1)."""
        calls = _CALLS
        for group in groups:
            key = self._placed(group.labels)
            if key != group.labels:
                self.other_calls += max(0, sign) * group.amounts[calls]
            self._series[key].add(group.amounts, sign)

    def example(self, labels: Labels, exemplar: Exemplar) -> None:
        """A call of this combination."""
        found = self._series.get(self._places.get(labels, labels))
        if found is not None:
            found.exemplar = exemplar

    def saved(self) -> list[dict[str, Any]]:
        """Everything, for `load`."""
        return [
            {"labels": key, "level": found.level, "real": found.real, "shown": found.shown}
            for key, found in self._series.items()
        ]

    def load(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """What `saved` gave; raises KeyError, TypeError or ValueError for anything else."""
        for each in saved:
            key, real, shown = tuple(map(str, each["labels"])), [*map(int, each["real"])], [*map(int, each["shown"])]
            if len(key) != len(self.labels) or not len(real) == len(shown) == len(QUANTITIES):
                raise ValueError("of another version")
            self._admit(key, Series(int(each["level"]), real, shown))

    def _placed(self, labels: Labels) -> Labels:
        known = self._places.get(labels)
        if known is not None:
            return known
        for level in range(len(labels), -1, -1):
            key = (*labels[:level], *(OTHER,) * (len(labels) - level))
            if key in self._series:
                break
            if self._used[level] < self._room[level]:
                self._admit(key, Series(level))
                break
        if len(self._places) < self.most:  # what is not remembered is looked for again
            self._places[labels] = key
        return key

    def _admit(self, key: Labels, series: Series) -> None:
        self._series[key] = series
        self._used[series.level] += 1


_CALLS = next(place for place, quantity in enumerate(QUANTITIES) if quantity.name == "calls")
