"""The counters of one rule in memory: columns of amounts, found by window and by who it is for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, repeat

import numpy as np

from collector.budgets.counting import Amounts, Ints, RuleMoves
from collector.budgets.model import CounterKey, Rule, Spent, Unit, WindowKind
from collector.budgets.thresholds import NEVER, needed, thresholds_of
from collector.budgets.windows import DAY_NS, bucket_ns, window_at

Owner = tuple[str, str]
"""org_id and scope value."""

NEW = -1
_NOTHING: Mapping[str, int] = {}
COLUMN = {Unit.USD: 0, Unit.TOKENS: 1, Unit.CALLS: 2}
"""Place of a unit in `Spent`, and of its column."""
_SAFE = 2**62
_ALWAYS = -(2**63)
KEPT_NS = 3 * DAY_NS
"""Windows that ended so long ago, and runs that did not move for so long, are let go. Longer: more memory, 250 bytes a
counter. Shorter: spans that come late have their window read from the ledger more often."""


@dataclass(slots=True)
class _Rolling:
    """What the buckets of a rolling window hold that count until `end_ns`."""

    end_ns: int
    amounts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])


class RuleCounters:
    """Not thread-safe."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.least = _least(rule)
        """No threshold is below this amount."""
        self._at: dict[tuple[str, int], dict[str, int]] = {}
        """(organization, window start) -> scope value -> place in the columns."""
        self._orgs: dict[str, None] = {}
        self._size = 0
        self._columns: list[Amounts] = [np.zeros(64, np.int64) for _ in Spent._fields]
        self._armed = np.zeros(64, np.int64)  # the amount from which on a counter is worth a look
        self._rolling: dict[Owner, _Rolling] = {}
        self._touched = np.zeros(64, np.int64)  # of a run: when it has moved
        self.gone_before_ns = _ALWAYS
        """Counters of windows and buckets that start before are only in the ledger."""
        self._gone_runs = np.empty(0, np.int64)  # ascending hashes of owners: of these only the ledger knows

    def __len__(self) -> int:
        return self._size

    @property
    def is_rolling(self) -> bool:
        return self.rule.window.kind is WindowKind.ROLLING

    def redefine(self, rule: Rule) -> None:
        """Another limit, other thresholds: what is counted stays."""
        self.rule, self.least = rule, _least(rule)
        self._armed[:] = 0

    def places(self, moves: RuleMoves) -> Ints:
        """Where the counters of `moves` are, `NEW` for those that are not."""
        orgs, values, starts = moves.orgs, moves.values, moves.starts_ns
        if orgs.count(orgs[0]) == len(orgs) and starts.count(starts[0]) == len(starts):  # as nearly always
            found = self._values(orgs[0], starts[0])
            return np.fromiter(map(found.get, values, repeat(NEW)), np.int64, len(values))
        each = zip(orgs, values, starts, strict=True)
        return np.fromiter(
            (self._values(org, start).get(value, NEW) for org, value, start in each), np.int64, len(values)
        )

    def first_missing_ns(self, moves: RuleMoves) -> int | None:
        """The start of the first window or bucket that is to be read from the ledger before calls move counters; None:
        all are here."""
        if self.gone_before_ns == _ALWAYS:
            return None
        first_ns = min(moves.starts_ns) - self.rule.window.rolling_ns  # each sum reaches back by the window's length
        return first_ns if first_ns < self.gone_before_ns else None

    def missing_runs(self, moves: RuleMoves, places: Ints) -> list[str]:
        """Scope values of runs that are perhaps to be read from the ledger, of those that are not here."""
        if not len(self._gone_runs):
            return []
        fresh = np.flatnonzero(places == NEW).tolist()
        hashes = np.array([hash((moves.orgs[row], moves.values[row])) for row in fresh], np.int64)
        at = np.searchsorted(self._gone_runs, hashes)
        found = self._gone_runs[np.minimum(at, len(self._gone_runs) - 1)] == hashes
        return [moves.values[row] for row, is_gone in zip(fresh, found.tolist(), strict=True) if is_gone]

    def recall(self, moves: RuleMoves | None, first_ns: int | None, at_ns: int) -> None:
        """These are read from the ledger: all from a start on that were not here, or some runs."""
        if first_ns is not None:
            self.gone_before_ns = first_ns
        if moves is not None:
            self.touch(self.add(moves, self.places(moves)), at_ns)

    def touch(self, places: Ints, at_ns: int) -> None:
        """Runs have moved."""
        if self.rule.window.kind is WindowKind.RUN:
            self._touched[places] = at_ns

    def let_go(self, now_ns: int) -> int:
        """Forget what is not expected to move any more; how many counters that is. The ledger has them."""
        window = self.rule.window
        if window.kind is WindowKind.RUN:
            return self._let_runs_go(now_ns - KEPT_NS)
        before_ns = window_at(window, now_ns - KEPT_NS - window.rolling_ns).start_ns
        if window.kind is WindowKind.TOTAL or before_ns <= self.gone_before_ns:
            return 0
        before = self._size
        self.gone_before_ns = before_ns
        self._rolling = {
            owner: known for owner, known in self._rolling.items() if known.end_ns - window.rolling_ns >= before_ns
        }
        self._keep({key: found for key, found in self._at.items() if key[1] >= before_ns})
        return before - self._size

    def _let_runs_go(self, before_ns: int) -> int:
        gone = self._touched[: self._size] < before_ns
        if not gone.any():
            return 0
        kept: dict[tuple[str, int], dict[str, int]] = {}
        hashes: list[int] = []
        for key, found in self._at.items():
            kept[key] = {value: place for value, place in found.items() if not gone[place]}
            hashes += [hash((key[0], value)) for value, place in found.items() if gone[place]]
        self._gone_runs = np.union1d(self._gone_runs, np.array(hashes, np.int64))
        self._keep(kept)
        return len(hashes)

    def _keep(self, kept: Mapping[tuple[str, int], Mapping[str, int]]) -> None:
        """Have these counters only, in columns of their size."""
        places = np.array([place for found in kept.values() for place in found.values()], np.int64)
        numbers = iter(range(len(places)))
        self._at = {key: {value: next(numbers) for value in found} for key, found in kept.items() if found}
        self._size = len(places)
        places = np.concatenate([places, np.zeros(64, np.int64)])  # room for more: what is in it is cleared
        self._columns = [column[places] for column in self._columns]
        self._armed, self._touched = self._armed[places], self._touched[places]
        for column in (*self._columns, self._armed, self._touched):
            column[self._size :] = 0

    def amounts(self, places: Ints) -> Amounts:
        """What the counters hold in the rule's unit; 0 where they are `NEW`."""
        return np.where(places == NEW, 0, self._columns[COLUMN[self.rule.unit]][places])

    def armed(self, places: Ints) -> Ints:
        """The amount from which on each counter is worth a look."""
        return np.maximum(np.where(places == NEW, 0, self._armed[places]), min(self.least, NEVER))

    def arm(self, place: int, amount: int) -> None:
        """Nothing happens to a counter below this amount."""
        self._armed[place] = min(amount, NEVER)

    def add(self, moves: RuleMoves, places: Ints) -> Ints:
        """Take what was moved, with `places` as they were before it; the places as they are now."""
        fresh = np.flatnonzero(places == NEW)
        if len(fresh):
            places = places.copy()
            places[fresh] = self._size + np.arange(len(fresh))
            for row, place in zip(fresh.tolist(), places[fresh].tolist(), strict=True):
                self._at.setdefault((moves.orgs[row], moves.starts_ns[row]), {})[moves.values[row]] = place
            self._orgs.update(dict.fromkeys(moves.orgs))
            self._grow(self._size + len(fresh))
        for number, delta in enumerate(moves.amounts):
            self._columns[number] = _added(self._columns[number], places, delta)
        if self._rolling:
            self._roll(moves)
        return places

    def spent(self, owner: Owner, at_ns: int) -> Spent:
        """What counts at a time."""
        window = self.rule.window
        if not self.is_rolling:
            return self.bucket(owner, window_at(window, at_ns).start_ns)
        return Spent(*self._until(owner, window_at(window, at_ns).end_ns or 0))

    def amount(self, owner: Owner, start_ns: int, at_ns: int) -> int:
        """What a counter holds in the rule's unit, found by its start; of a rolling window what counts at a time."""
        if self.is_rolling:
            return self._until(owner, window_at(self.rule.window, at_ns).end_ns or 0)[COLUMN[self.rule.unit]]
        place = self._values(owner[0], start_ns).get(owner[1])
        return 0 if place is None else int(self._columns[COLUMN[self.rule.unit]][place])

    def room_at(self, owner: Owner, at_ns: int, most: int) -> int | None:
        """The first time from `at_ns` on at which no more than `most` counts, if nothing is added; None: never."""
        window = self.rule.window
        start_ns, end_ns = window_at(window, at_ns)
        if self.amount(owner, start_ns, at_ns) <= most:
            return at_ns
        if not self.is_rolling or end_ns is None:
            return end_ns if most >= 0 else None
        rolling_ns, step, number = window.rolling_ns, bucket_ns(window), COLUMN[self.rule.unit]
        starts = self._starts(owner[0], end_ns - rolling_ns, end_ns + rolling_ns)
        before = [0, *accumulate(self.bucket(owner, each)[number] for each in starts)]
        changes = {each + step for each in starts} | {each + step + rolling_ns for each in starts}
        for end in sorted(changes):  # between them, sums stay as they are
            if end_ns < end <= end_ns + rolling_ns:
                amount = before[bisect_left(starts, end)] - before[bisect_left(starts, end - rolling_ns)]
                if amount <= most:
                    return end - step
        return None

    def bucket(self, owner: Owner, start_ns: int) -> Spent:
        """What one counter holds, of whichever window or bucket."""
        return self._of(self._values(owner[0], start_ns).get(owner[1]))

    def owners(self, at_ns: int) -> list[Owner]:
        """All that have a counter in the window of a time."""
        start_ns, end_ns = window_at(self.rule.window, at_ns)
        found: dict[Owner, None] = {}
        for org_id in self._orgs:
            starts = self._starts(org_id, start_ns, end_ns or 0) if self.is_rolling else [start_ns]
            found |= {(org_id, value): None for start in starts for value in self._values(org_id, start)}
        return list(found)

    def sums(self, owner: Owner, ends: Sequence[int]) -> list[int]:
        """What counts in the rolling windows that end then (ascending), in the rule's unit."""
        number, rolling_ns, step = COLUMN[self.rule.unit], self.rule.window.rolling_ns, bucket_ns(self.rule.window)
        total, end_ns = self._until(owner, ends[-1])[number], ends[-1]
        found = [total]
        for wanted in reversed(ends[:-1]):
            while end_ns > wanted:
                end_ns -= step
                total += self.bucket(owner, end_ns - rolling_ns)[number] - self.bucket(owner, end_ns)[number]
            found.append(total)
        return found[::-1]

    def all(self) -> Iterator[tuple[CounterKey, Spent]]:
        """Every counter."""
        for (org_id, start_ns), found in self._at.items():
            for value, place in found.items():
                yield CounterKey(org_id, self.rule.name, value, start_ns), self._of(place)

    def _values(self, org_id: str, start_ns: int) -> Mapping[str, int]:
        return self._at.get((org_id, start_ns), _NOTHING)

    def as_moves(self, counters: Mapping[CounterKey, Spent]) -> RuleMoves:
        """Counters of this rule, as calls would move them from nothing."""
        amounts = [_narrowed(column) for column in zip(*counters.values(), strict=True)]
        orgs, values = ([getattr(key, name) for key in counters] for name in ("org_id", "scope_value"))
        return RuleMoves(self.rule, orgs, values, [key.window_start_ns for key in counters], *amounts)

    def _of(self, place: int | None) -> Spent:
        return Spent() if place is None else Spent(*(int(column[place]) for column in self._columns))

    def _grow(self, size: int) -> None:
        self._size = size
        if size <= len(self._armed):
            return
        more = np.zeros(max(size, 2 * len(self._armed)) - len(self._armed), np.int64)
        self._armed, self._touched = (np.concatenate([column, more]) for column in (self._armed, self._touched))
        self._columns = [np.concatenate([column, more.astype(column.dtype)]) for column in self._columns]

    def _until(self, owner: Owner, end_ns: int) -> list[int]:
        """The sum of the buckets that count in the window which ends then. The newest one asked for is kept."""
        known = self._rolling.get(owner)
        window = self.rule.window
        if known is None or end_ns - known.end_ns >= window.rolling_ns:
            sums = self._summed(owner, end_ns - window.rolling_ns, end_ns)
            if any(sums):  # whoever is only asked about takes no memory
                self._rolling[owner] = _Rolling(end_ns, sums)
            return sums
        if end_ns < known.end_ns:
            return self._summed(owner, end_ns - window.rolling_ns, end_ns)
        while known.end_ns < end_ns:
            gone, come = self.bucket(owner, known.end_ns - window.rolling_ns), self.bucket(owner, known.end_ns)
            known.amounts = [a - b + c for a, b, c in zip(known.amounts, gone, come, strict=True)]
            known.end_ns += bucket_ns(window)
        return known.amounts

    def _summed(self, owner: Owner, start_ns: int, end_ns: int) -> list[int]:
        found = [self.bucket(owner, each) for each in self._starts(owner[0], start_ns, end_ns)]
        return [sum(column) for column in zip(Spent(), *found, strict=True)]

    def _starts(self, org_id: str, start_ns: int, end_ns: int) -> Sequence[int]:
        """Buckets of a time that may hold something, ascending: a long window has many more than were ever used."""
        every = range(start_ns, end_ns, bucket_ns(self.rule.window))
        if len(every) <= len(self._at):
            return every
        return sorted(start for known, start in tuple(self._at) if known == org_id and start_ns <= start < end_ns)

    def _roll(self, moves: RuleMoves) -> None:
        """Keep the sums of rolling windows right."""
        deltas = zip(*(column.tolist() for column in moves.amounts), strict=True)
        for org_id, value, start_ns, delta in zip(moves.orgs, moves.values, moves.starts_ns, deltas, strict=True):
            known = self._rolling.get((org_id, value))
            if known is not None and known.end_ns - self.rule.window.rolling_ns <= start_ns < known.end_ns:
                known.amounts = [a + b for a, b in zip(known.amounts, delta, strict=True)]


def _added(column: Amounts, places: Ints, delta: Amounts) -> Amounts:
    """`column` with `delta` added at distinct places; of Python's numbers once int64 may not hold them."""
    now = column[places]
    if object not in (column.dtype, delta.dtype):
        total = now + delta
        if not len(total) or max(int(np.abs(total).max()), int(np.abs(delta).max())) < _SAFE:
            column[places] = total
            return column
    column = column.astype(object)
    column[places] = now.astype(object) + delta.astype(object)
    return column


def _narrowed(amounts: Sequence[int]) -> Amounts:
    return np.array(amounts, np.int64 if max(map(abs, amounts)) < _SAFE else object)


def moved_amounts(moves: RuleMoves) -> Amounts:
    """What is added in the rule's unit."""
    return moves.amounts[COLUMN[moves.rule.unit]]


def ends_ns(rule: Rule, buckets: Collection[int], now_end_ns: int) -> list[int]:
    """Ends of the rolling windows that changed buckets are part of, up to that of now or the newest; ascending."""
    step = bucket_ns(rule.window)
    if len(buckets) == 1 and now_end_ns - step in buckets:
        return [now_end_ns]
    last = max(now_end_ns, max(buckets) + step)
    found = {
        end for start in buckets for end in range(start + step, min(start + rule.window.rolling_ns, last) + 1, step)
    }
    return sorted(found)


def _least(rule: Rule) -> int:
    return min(needed(ppm, rule.limit) for _, ppm in thresholds_of(rule))
