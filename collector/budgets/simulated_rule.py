"""One rule in a simulation: what counts in its windows, which thresholds that crosses, and who it concerns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from collector.budgets.counting import Amounts, Batch, Ints, WorstRates, costs_of, placed
from collector.budgets.deciding import HardRule
from collector.budgets.model import CounterKey, Event, EventKind, Rule, Unit, WindowKind
from collector.budgets.running import Buckets, after_each
from collector.budgets.thresholds import Threshold, needed, thresholds_of
from collector.budgets.windows import HOUR_NS, bucket_ns, window_at

Owner = tuple[str, str, int]
"""Organization, scope value, start of the window (0 of rolling ones)."""

_LONG = (WindowKind.DAY, WindowKind.WEEK, WindowKind.MONTH)
LATE_NS = HOUR_NS
"""A warning that comes so shortly before the end of a day, week or month leaves no time to act on it."""


class Calls(NamedTuple):
    """The calls of a batch that count in a rule."""

    rows: Ints  # of the batch, ascending
    owner: Ints  # per call: a number
    owners: list[Owner]  # by number
    bucket_ns: Ints  # per call; 0 unless the window is a rolling one
    needs: Amounts  # what each takes, in the rule's unit
    after: Amounts  # what counts after each, if all are made


class Asked(NamedTuple):
    """A call that was not made as it was asked for, because of the rule."""

    row: int  # of the batch
    owner: Owner
    bucket_ns: int
    total: int  # what would have counted


@dataclass(slots=True)
class Tally:
    """What a rule does to one organization's scope value. Money is that of the calls as they were made."""

    windows: int = 0
    peak: int = 0  # the most that counted at a time
    warned: int = 0
    exceeded: int = 0
    needless: int = 0  # warnings of windows that ended below the limit
    late: int = 0  # of those, in the last hour of a day, week or month
    refused_calls: int = 0
    refused_pico_usd: int = 0
    approval_calls: int = 0  # refused until somebody approves: part of the refused ones
    replaced_calls: int = 0
    replaced_saved_pico_usd: int = 0
    throttled_calls: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


@dataclass(slots=True)
class SimulatedRule:
    """The state of a rule between batches."""

    rule: Rule
    from_ns: int = 0  # what happens before is not told
    worst: WorstRates = field(default_factory=WorstRates)
    hard: HardRule | None = None
    events: list[Event] = field(default_factory=list)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    _held: dict[Owner, Buckets] = field(default_factory=dict)
    _seen: set[Owner] = field(default_factory=set)
    _fired: dict[tuple[Owner, Threshold], int] = field(default_factory=dict)  # -> last bucket

    def __post_init__(self) -> None:
        self.hard = HardRule(self.rule) if self.rule.is_hard else None

    @property
    def is_rolling(self) -> bool:
        return self.rule.window.kind is WindowKind.ROLLING

    def begin_ns(self, bucket: Ints) -> Ints | None:
        """From which bucket on counts what counts with a call of a bucket."""
        window = self.rule.window
        return bucket + (bucket_ns(window) - window.rolling_ns) if self.is_rolling else None

    def held(self, owner: Owner) -> Buckets:
        """What counted before the batch."""
        return self._held.get(owner, {})

    def tally(self, owner: Owner) -> Tally:
        """That of an owner's scope value."""
        return self.tallies.setdefault(owner[:2], Tally())

    def lay(self, batch: Batch) -> Calls | None:
        """The calls that count; None: none does."""
        found = placed(self.rule, batch)
        if found is None:
            return None
        rows = np.arange(batch.rows) if found.rows is None else found.rows
        owner, bucket = found.place, np.zeros(len(rows), np.int64)
        owners: list[Owner] = list(zip(found.orgs, found.values, found.starts_ns, strict=True))
        if self.is_rolling:
            numbers: dict[Owner, int] = {}
            of_place = [numbers.setdefault((org, value, 0), len(numbers)) for org, value, _ in owners]
            bucket, owner = np.array(found.starts_ns, np.int64)[owner], np.array(of_place, np.int64)[owner]
            owners = list(numbers)
        needs = found.of(needs_of(self.rule, batch, self.worst))
        held = [(n, at, amount) for n, each in enumerate(owners) for at, amount in sorted(self.held(each).items())]
        after = after_each(owner, bucket, self.begin_ns(bucket), needs, held)
        return Calls(rows, owner, owners, bucket, needs, after)

    def take(self, calls: Calls, start_ns: Ints) -> None:
        """These calls are made."""
        told = start_ns[calls.rows] >= self.from_ns
        peaks = np.zeros(len(calls.owners), calls.after.dtype)
        np.maximum.at(peaks, calls.owner[told], calls.after[told])
        for number in np.unique(calls.owner[told]).tolist():
            owner = calls.owners[number]
            tally = self.tally(owner)
            tally.peak = max(tally.peak, int(peaks[number]))
            if owner not in self._seen:
                self._seen.add(owner)
                tally.windows += 1
        if self.is_rolling:
            self._take_buckets(calls)
            return
        last = np.empty(len(calls.owners), np.int64)
        last[calls.owner] = np.arange(len(calls.rows))
        for owner, amount in zip(calls.owners, calls.after[last].tolist(), strict=True):
            self._held[owner] = {0: amount}

    def _take_buckets(self, calls: Calls) -> None:
        order = np.lexsort((calls.bucket_ns, calls.owner))
        owner, bucket, needs = calls.owner[order], calls.bucket_ns[order], calls.needs[order]
        first = np.flatnonzero(np.diff(owner, prepend=-1) | np.diff(bucket, prepend=-1))
        sums = np.add.reduceat(needs, first)
        newest = int(bucket.max())
        oldest = newest + bucket_ns(self.rule.window) - self.rule.window.rolling_ns
        fresh: dict[Owner, dict[int, int]] = {}
        for number, at, amount in zip(owner[first].tolist(), bucket[first].tolist(), sums.tolist(), strict=True):
            mine = fresh.setdefault(calls.owners[number], {})
            mine[at] = amount
        for each, added in fresh.items():
            kept = {at: amount for at, amount in self.held(each).items() if at >= oldest}
            for at, amount in added.items():
                if at >= oldest:
                    kept[at] = kept.get(at, 0) + amount
            self._held[each] = kept

    def fire(self, calls: Calls | None, asked: Sequence[Asked], row_of: Ints | None, start_ns: Ints) -> None:
        """What calls that are made, and those that were asked for, cross.

        Args:
            calls: laid in a batch of those that are made.
            row_of: which row of the whole batch each of its rows is; None: the same.
            start_ns: when the rows of the whole batch start.
        """
        for threshold in thresholds_of(self.rule):
            amount = needed(threshold[1], self.rule.limit)
            hits = [*(each for each in asked if each.total >= amount), *self._hits(calls, row_of, amount, threshold)]
            for each in sorted(hits, key=lambda hit: hit.row):
                self._hit(each, threshold, int(start_ns[each.row]))

    def _hits(self, calls: Calls | None, row_of: Ints | None, amount: int, threshold: Threshold) -> Iterator[Asked]:
        """Of each owner, and each bucket, the first call after which so much counts."""
        if calls is None:
            return
        over = np.flatnonzero(calls.after >= amount)
        if not len(over):
            return
        if not self.is_rolling:
            fresh = np.array([(owner, threshold) not in self._fired for owner in calls.owners], np.bool_)
            over = over[fresh[calls.owner[over]]]
        buckets, ranks = np.unique(calls.bucket_ns[over], return_inverse=True)
        _, first = np.unique(calls.owner[over] * len(buckets) + ranks, return_index=True)
        for at in over[np.sort(first)].tolist():
            row = int(calls.rows[at]) if row_of is None else int(row_of[calls.rows[at]])
            bucket = int(calls.bucket_ns[at])
            yield Asked(row, calls.owners[calls.owner[at]], bucket, int(calls.after[at]))

    def _hit(self, hit: Asked, threshold: Threshold, at_ns: int) -> None:
        kind, ppm = threshold
        last = self._fired.get((hit.owner, threshold))
        if last is not None and (not self.is_rolling or hit.bucket_ns - last < self.rule.window.rolling_ns):
            return
        self._fired[hit.owner, threshold] = hit.bucket_ns
        if at_ns < self.from_ns:
            return
        org, value, start_ns = hit.owner
        key = CounterKey(org, self.rule.name, value, hit.bucket_ns if self.is_rolling else start_ns)
        self.events.append(Event(key, kind, ppm, at_ns, hit.total, self.rule.limit, self.rule.unit))
        tally = self.tally(hit.owner)
        tally.first_ns = at_ns if tally.first_ns is None else tally.first_ns
        tally.last_ns = at_ns
        tally.exceeded += kind is EventKind.EXCEED
        tally.warned += kind is EventKind.WARN

    def judge(self, end_ns: int) -> None:
        """Which warnings were needless: of windows that had ended by `end_ns`, below their limit."""
        exceeded: dict[CounterKey, list[Event]] = {}
        for event in self.events:
            if event.kind is EventKind.EXCEED:
                exceeded.setdefault(_counter(event.key, self.is_rolling), []).append(event)
        for event in self.events:
            ends_ns = self._ends_ns(event)
            if event.kind is not EventKind.WARN or ends_ns is None or ends_ns > end_ns:
                continue
            others = exceeded.get(_counter(event.key, self.is_rolling), ())
            if not any(event.happened_at_ns <= each.happened_at_ns <= ends_ns for each in others):
                tally = self.tallies[event.key.org_id, event.key.scope_value]
                tally.needless += 1
                tally.late += self.rule.window.kind in _LONG and ends_ns - event.happened_at_ns <= LATE_NS

    def _ends_ns(self, event: Event) -> int | None:
        if self.is_rolling:
            return event.happened_at_ns + self.rule.window.rolling_ns
        return window_at(self.rule.window, event.key.window_start_ns).end_ns


def _counter(key: CounterKey, is_rolling: bool) -> CounterKey:
    """What a warning and a limit that is reached have in common."""
    return key._replace(window_start_ns=0) if is_rolling else key


def needs_of(rule: Rule, batch: Batch, worst: WorstRates) -> Amounts:
    """What each call of a batch takes, in the rule's unit."""
    if rule.unit is Unit.USD:
        return costs_of(rule, batch, worst)
    return batch.tokens if rule.unit is Unit.TOKENS else np.ones(batch.rows, np.int64)
