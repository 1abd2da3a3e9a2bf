"""The sums that one publication may use, and the calls that are not in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.questions.rolled import LENGTHS
from collector.questions.scope import call_rows
from collector.store.pieces import Piece, calls_of
from collector.store.rollups import FEW, MANY, MODELS, OWNERS, RATED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ends = tuple[int, int]
"""Start of the first and of the last call, epoch nanoseconds."""
NOBODYS_ENDS: Ends = (1 << 63, -1)
"""Where there are no calls: no window meets them."""

Cut = Callable[[str, Mapping[Piece, Ends], datetime, datetime], str | None]
"""See `collector.store.kept_calls.KeptCalls.cut`."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """See `collector.questions.rolled.Rolled`."""

    zone: ZoneInfo
    generation: str
    """Name of the attached publication."""
    summed: Mapping[Piece, Ends]
    """What is in the sums."""
    parts: Sequence[int]
    """As what."""
    left: str
    """All other calls, as a relation of `call_rows`."""
    left_sums: str | None
    """Their sums, as `collector.store.kept_calls.Left` has them."""
    left_ends: Ends | None
    """None: not known."""
    cut: Cut

    @property
    def last(self) -> datetime | None:
        """See `collector.questions.rolled.Rolled.last`."""
        ends = [last for _, last in self.summed.values()]
        return _EPOCH + timedelta(microseconds=max(ends) // 1_000 + 1) if ends else None

    def covered(self, since: datetime | None, until: datetime | None) -> str | None:
        """Reads the segments that have calls of the window, or what is kept of its days."""
        some = [piece for piece, ends in self.summed.items() if meets(ends, since, until)]
        end = until or self.last
        if not some or end is None:
            return None
        kept = None if since is None or since >= end else self.cut(self.generation, self.summed, since, end)
        return kept or call_rows(calls_of(some, self.generation))

    def uncovered(
        self, since: datetime | None, until: datetime | None, names: frozenset[str] | None = None
    ) -> str | None:
        """See `collector.questions.rolled.Rolled.uncovered`."""
        if self.left_ends is None:
            return self.left
        if not meets(self.left_ends, since, until):
            return None
        is_whole = (since is None or self.left_ends[0] >= nanoseconds(since)) and (
            until is None or self.left_ends[1] < nanoseconds(until)
        )
        return self.left_sums if is_whole and names is not None and names <= set(FEW) else self.left

    def sums(self, names: frozenset[str], columns: Sequence[str]) -> str | None:
        """See `collector.questions.rolled.Rolled.sums`."""
        said = [f"sums.{name}" for name in columns]
        if not names:
            return self._relation("whole", names, ["sums.hour", *said])
        for table, known in (("rated", RATED), ("many", MANY)):
            if names <= set(known):
                return self._relation(table, names, said)
        return self._combined("few", names, ["sums.day", *said]) if names <= set(FEW) else None

    def months(self, names: frozenset[str], columns: Sequence[str]) -> str | None:
        """See `collector.questions.rolled.Rolled.months`."""
        if not names <= set(FEW):
            return None
        return self._combined("months", names, ["sums.month", *(f"sums.{name}" for name in columns)])

    def runs(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.rolled.Rolled.runs`."""
        if names <= set(MANY):
            return self._relation("many", names, ["hash(sums.run) AS execution"])
        for table, known in (("ran", OWNERS), ("ran_on", MODELS)):
            if names <= set(known):
                return self._relation(table, names, ["sums.execution"])
        return None

    def longest(self, names: frozenset[str]) -> str | None:
        """See `collector.questions.rolled.Rolled.longest`: which calls are the longest depends on every filter."""
        return None if names else self._relation("long", names, [f"sums.{name}" for name in LENGTHS])

    def _relation(self, table: str, names: frozenset[str], columns: Sequence[str]) -> str | None:
        said = ", ".join(["sums.org_id", "sums.day", *(f'sums."{name}"' for name in sorted(names)), *columns])
        return f"(SELECT {said} FROM rollups.{table} AS sums WHERE {self._is_valid()})" if self.parts else None

    def _combined(self, table: str, names: frozenset[str], columns: Sequence[str]) -> str | None:
        said = ", ".join(["named.org_id", *(f'named."{name}"' for name in sorted(names)), *columns])
        relation = (
            f"(SELECT {said} FROM rollups.{table} AS sums "
            f"JOIN rollups.combination AS named ON named.combination = sums.combination WHERE {self._is_valid()})"
        )
        return relation if self.parts else None

    def _is_valid(self) -> str:
        return f"sums.part IN ({', '.join(map(str, self.parts))})"


def meets(ends: Ends, since: datetime | None, until: datetime | None) -> bool:
    """Whether a window may have one of such calls."""
    is_late = since is not None and ends[1] < nanoseconds(since)
    return not is_late and (until is None or ends[0] < nanoseconds(until))


def nanoseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1_000
