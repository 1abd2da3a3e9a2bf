"""The sums that one publication may use, and the calls that are not in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.store.pieces import Piece, calls_of
from collector.store.rollups import FEW, MANY, MONEY, OWNERS, RATED, SUMMED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ends = tuple[int, int]
"""Start of the first and of the last call, epoch nanoseconds."""
NOBODYS_ENDS: Ends = (1 << 63, -1)
"""Where there are no calls: no window meets them."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """See `collector.questions.scope.Rolled`."""

    zone: ZoneInfo
    generation: str
    """Name of the attached publication."""
    summed: Mapping[Piece, Ends]
    """What is in the sums."""
    left: str
    """A relation of all other calls."""
    left_ends: Ends | None
    """None: not known."""
    parts: str
    """A relation of the parts of the sums that are of this publication."""

    @property
    def last(self) -> datetime | None:
        """See `collector.questions.scope.Rolled.last`."""
        ends = [last for _, last in self.summed.values()]
        return _EPOCH + timedelta(microseconds=max(ends) // 1_000 + 1) if ends else None

    def covered(self, since: datetime | None, until: datetime | None) -> str | None:
        """Reads the segments that have calls of the window."""
        some = [piece for piece, ends in self.summed.items() if _meets(ends, since, until)]
        return calls_of(some, self.generation) if some else None

    def uncovered(self, since: datetime | None, until: datetime | None) -> str | None:
        """See `collector.questions.scope.Rolled.uncovered`."""
        return self.left if self.left_ends is None or _meets(self.left_ends, since, until) else None

    def sums(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.scope.Rolled.sums`."""
        columns = [*(f"sums.{name}" for name in (*MONEY, *SUMMED)), "sums.first_ns", "sums.last_ns"]
        if not names:
            return self._relation("whole", names, ["sums.hour", *columns])
        for table, known in (("rated", RATED), ("many", MANY)):
            if names <= set(known):
                return self._relation(table, names, columns)
        return self._combined(names, columns) if names <= set(FEW) else None

    def runs(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.scope.Rolled.runs`."""
        if names <= set(MANY):
            return self._relation("many", names, ["hash(sums.run) AS execution"])
        return self._relation("ran", names, ["sums.execution"]) if names <= set(OWNERS) else None

    def longest(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.scope.Rolled.longest`: which calls are the longest depends on every filter."""
        if names:
            return None
        columns = ("trace_id", "span_id", "agent", "model", "output_tokens", "cost_usd", "start_ns")
        return self._relation("long", names, [f"sums.{name}" for name in columns])

    def _relation(self, table: str, names: frozenset[str], columns: Sequence[str]) -> str:
        said = ", ".join(["sums.org_id", "sums.day", *(f'sums."{name}"' for name in sorted(names)), *columns])
        return f"(SELECT {said} FROM rollups.{table} AS sums WHERE {self._is_valid()})"

    def _combined(self, names: frozenset[str], columns: Sequence[str]) -> str:
        said = ", ".join(["named.org_id", "sums.day", *(f'named."{name}"' for name in sorted(names)), *columns])
        return (
            f"(SELECT {said} FROM rollups.few AS sums "
            f"JOIN rollups.combination AS named ON named.combination = sums.combination WHERE {self._is_valid()})"
        )

    def _is_valid(self) -> str:
        return f"sums.part IN (SELECT part FROM {self.parts})"


def _meets(ends: Ends, since: datetime | None, until: datetime | None) -> bool:
    """Whether a window may have one of such calls."""
    is_late = since is not None and ends[1] < _nanoseconds(since)
    return not is_late and (until is None or ends[0] < _nanoseconds(until))


def _nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000
