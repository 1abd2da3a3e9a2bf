"""All counters in memory: what was spent, what a batch of calls moves, and which thresholds that crosses.

The store's writer asks what a batch `moves`, writes that with the spans in one transaction, and says `apply` when it is
committed; nothing changes before. After a failed commit it is `load`ed again. Everybody else reads, at any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from collector.budgets.counter_rows import counter_rows, moves_of_rows, without
from collector.budgets.counting import Ints, RuleMoves, WorstRates, columns_of, count
from collector.budgets.event_rows import event_rows
from collector.budgets.model import CounterKey, Event, Rule, Spent, WindowKind
from collector.budgets.rule_counters import NEW, Owner, RuleCounters, ends_ns, moved_amounts
from collector.budgets.thresholds import Fired, Reached
from collector.budgets.windows import bucket_ns, window_at


class Raise(NamedTuple):
    """A limit that was raised by an approval."""

    amount: int  # in the rule's unit
    expires_at_ns: int


Raises = Callable[[], Mapping[CounterKey, Raise]]
"""Those in force or not. Of a rolling window the key has 0 for its start: every window of that scope value."""


class LeasedCall(NamedTuple):
    """A new span in the ledger whose call was made under a lease."""

    lease_id: str
    cost_pico_usd: int | None  # None: not known, or not counted
    tokens: int
    is_counted: bool  # False: another span stands for the call, or it failed before it cost anything


@dataclass(frozen=True)
class Moves:
    """What one transaction does to the counters."""

    of_rules: Sequence[RuleMoves] = ()
    events: Sequence[Event] = ()
    leased: Sequence[LeasedCall] = ()
    looked_at: Mapping[str, tuple[Ints, Ints]] = field(default_factory=dict)
    """By rule: where its counters are, and the rows of those that are near a threshold."""

    @cached_property
    def rows(self) -> pa.Table:
        """`COUNTER_SCHEMA`: to be added to the ledger's."""
        return counter_rows(self.of_rules)

    @cached_property
    def event_rows(self) -> pa.Table:
        """`collector.budgets.event_rows.EVENT_SCHEMA`: the same of events."""
        return event_rows(self.events)

    def __bool__(self) -> bool:
        return bool(self.of_rules or self.events or self.leased)


Listener = Callable[[Moves], None]


class Recalled(NamedTuple):
    """What the ledger has of a rule's counters that were let go."""

    rows: pa.Table  # COUNTER_SCHEMA
    fired: Sequence[Event]


Recall = Callable[[str, int | None, Sequence[str]], Recalled]
"""Of a rule by name all from the start of a window or bucket on; or, if that is None, counters of some scope values."""

LETS_GO_NS = 10 * 60 * 10**9
"""How often counters are looked through for what is not expected to move any more: some milliseconds."""


class Counters:
    """The counters of some rules. `lock` is held while they change and while listeners are told of it.

    Whoever holds `lock` sees counters and what listeners keep of leases in one state: a call that was leased is in
    exactly one of the two. Listeners are called in the store's writer, after the commit; they must be quick, must not
    raise, and must not ask the store for anything.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        raises: Raises = dict,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.lock = RLock()
        self.raises = raises
        self.worst: Mapping[str, WorstRates] = {}
        """By rule, for those that count what is unpriced at its worst."""
        self.recall: Recall | None = None
        """Reads what was let go. None: nothing is let go."""
        self._clock_ns = clock_ns
        self._let_go_ns = clock_ns()
        self._fired = Fired()
        self._listeners: list[Listener] = []
        self._hears_leases = False
        self._of: dict[str, RuleCounters] = {}
        self._set(rules)

    @property
    def rules(self) -> Sequence[Rule]:
        return self._rules

    @property
    def columns(self) -> frozenset[str]:
        """Dimensions, `provider` and `model`, that `moves` needs to know of calls."""
        return self._columns

    @property
    def hears_leases(self) -> bool:
        """Whether somebody wants to be told of calls made under a lease."""
        return self._hears_leases

    def on_applied(self, listener: Listener, *, leases: bool = False) -> None:
        """Call `listener` with what has moved, after each commit. `leases`: and which leased calls have come."""
        with self.lock:
            self._listeners.append(listener)
            self._hears_leases |= leases

    def load(self, rows: pa.Table, fired: Iterable[Event]) -> None:
        """Forget all, take what the ledger has: `COUNTER_SCHEMA`, one row per counter or several, and past events."""
        with self.lock:
            self._fired = Fired(fired)
            self._of = {rule.name: RuleCounters(rule) for rule in self._rules}
            self._let_go_ns = self._clock_ns()
            self._take(rows)

    def replace_rules(self, rules: Sequence[Rule], recounted: Mapping[str, pa.Table]) -> None:
        """Have these rules from now on. `recounted`: rows of those that are new or count something else than before.

        In the store's writer, after the commit that made it so.
        """
        with self.lock:
            kept = {name: found for name, found in self._of.items() if name not in recounted}
            self._set(rules)
            for name, found in kept.items():
                if name in self._of:
                    found.redefine(self._of[name].rule)
                    self._of[name] = found
            for rows in recounted.values():
                self._take(rows)

    def forget_fired(self, rules: Iterable[str], fired: Iterable[Event]) -> None:
        """What has fired is `fired` from now on, of all rules; those named count something else now."""
        with self.lock:
            self._fired = Fired(fired)
            for name in rules:
                if name in self._of:
                    self._of[name].redefine(self._of[name].rule)

    def moves(self, moved: pa.Table, now_ns: int | None = None, leased: Sequence[LeasedCall] = ()) -> Moves:
        """What calls do (`collector.budgets.counting.MOVED_SCHEMA`, of the dimensions `columns`). Changes nothing."""
        now_ns = self._clock_ns() if now_ns is None else now_ns
        with self.lock:
            of_rules = count(self._rules, moved, self.worst) if moved.num_rows else []
            raises = self.raises() if of_rules else {}
            events: list[Event] = []
            looked_at: dict[str, tuple[Ints, Ints]] = {}
            for each in of_rules:
                found = self._of[each.rule.name]
                places = self._places(found, each, now_ns)
                if found.is_rolling:
                    looked_at[each.rule.name] = places, places[:0]
                    events += self._rolling_events(found, each, now_ns, raises)
                else:
                    near = _near(found, each, places, raises)
                    looked_at[each.rule.name] = places, near
                    events += self._events(found, each, places, near, now_ns, raises)
            return Moves(of_rules, events, leased, looked_at)

    def apply(self, moves: Moves) -> None:
        """It is committed."""
        with self.lock:
            self._fired.add(moves.events)
            for each in moves.of_rules:
                found = self._of[each.rule.name]
                places, near = moves.looked_at[each.rule.name]
                places = found.add(each, places)
                found.touch(places, self._clock_ns())
                self._arm(found, each, places, near)
            for listener in self._listeners:
                listener(moves)
            self._let_go()

    def _places(self, found: RuleCounters, moves: RuleMoves, now_ns: int) -> Ints:
        """Where the counters of calls are, read from the ledger if they were let go."""
        if self.recall is None:
            return found.places(moves)
        first_ns = found.first_missing_ns(moves)
        if first_ns is not None:
            self._recalled(found, self.recall(found.rule.name, first_ns, ()), first_ns, now_ns)
        places = found.places(moves)
        runs = found.missing_runs(moves, places)
        if runs:
            self._recalled(found, self.recall(found.rule.name, None, runs), None, now_ns)
            places = found.places(moves)
        return places

    def _recalled(self, found: RuleCounters, recalled: Recalled, first_ns: int | None, now_ns: int) -> None:
        self._fired.add(recalled.fired)
        moves = moves_of_rows(found.rule, recalled.rows) if recalled.rows.num_rows else None
        if moves is not None:
            moves = without(moves, found.places(moves) != NEW)
        found.recall(moves, first_ns, now_ns)

    def _let_go(self) -> None:
        now_ns = self._clock_ns()
        if self.recall is None or now_ns - self._let_go_ns < LETS_GO_NS:
            return
        self._let_go_ns = now_ns
        for name, found in self._of.items():
            if found.let_go(now_ns) and found.rule.window.kind is not WindowKind.RUN:
                self._fired.let_go(name, found.gone_before_ns)

    def due(self, now_ns: int, rules: Iterable[str]) -> list[Event]:
        """What fires by itself in the windows of now: after a rule has changed, or was counted from history.

        Not of runs, which have no end: one that is over its limit fires with its next call.
        """
        with self.lock:
            raises = self.raises()
            events: list[Event] = []
            for name in rules:
                found = self._of[name]
                if found.rule.window.kind is WindowKind.RUN:
                    continue
                for owner in found.owners(now_ns):
                    key, amount = _key_now(found.rule, owner, now_ns), found.spent(owner, now_ns).of(found.rule.unit)
                    reached = Reached(key, 0, amount, self.limit(found.rule, key, now_ns, raises))
                    events += self._fired.events(found.rule, reached._replace(before=amount), now_ns)
            return events

    def spent(self, rule: str, org_id: str, scope_value: str, at_ns: int) -> Spent:
        """What counts for somebody at a time; nothing for an unknown rule."""
        with self.lock:
            found = self._of.get(rule)
            return Spent() if found is None else found.spent((org_id, scope_value), at_ns)

    def amount(self, key: CounterKey, at_ns: int) -> int:
        """What a counter holds in its rule's unit; of a rolling window, whatever the key's start, what counts at a
        time."""
        with self.lock:
            found = self._of.get(key.rule)
            return 0 if found is None else found.amount((key.org_id, key.scope_value), key.window_start_ns, at_ns)

    def room_at(self, rule: str, org_id: str, scope_value: str, at_ns: int, most: int) -> int | None:
        """The first time from `at_ns` on at which no more than `most` of the rule's unit counts, if nothing is added;
        None: never."""
        with self.lock:
            found = self._of.get(rule)
            return at_ns if found is None else found.room_at((org_id, scope_value), at_ns, most)

    def of_rule(self, rule: str, at_ns: int) -> list[tuple[CounterKey, Spent]]:
        """All counters of the window of a time. The key of a rolling one has the start of its first bucket."""
        with self.lock:
            found = self._of.get(rule)
            if found is None:
                return []
            start_ns = window_at(found.rule.window, at_ns).start_ns
            owners = found.owners(at_ns)
            return [(CounterKey(org, rule, value, start_ns), found.spent((org, value), at_ns)) for org, value in owners]

    def all(self, rule: str) -> dict[CounterKey, Spent]:
        """Every counter of a rule, of whichever window or bucket, without those that hold nothing."""
        with self.lock:
            found = self._of.get(rule)
            return {} if found is None else {key: spent for key, spent in found.all() if any(spent)}

    def limit(self, rule: Rule, key: CounterKey, at_ns: int, raises: Mapping[CounterKey, Raise] | None = None) -> int:
        """The limit of a counter at a time, raised or not."""
        raised = self._raised(rule, key, at_ns, self.raises() if raises is None else raises)
        return rule.limit + (0 if raised is None else raised.amount)

    def raised_until_ns(self, rule: Rule, key: CounterKey, at_ns: int) -> int | None:
        """When the limit of a counter will be lower again; None: it is not raised."""
        raised = self._raised(rule, key, at_ns, self.raises())
        return None if raised is None else raised.expires_at_ns

    def _raised(self, rule: Rule, key: CounterKey, at_ns: int, raises: Mapping[CounterKey, Raise]) -> Raise | None:
        raised = raises.get(raise_key(rule, key)) if raises else None
        return raised if raised is not None and raised.expires_at_ns > at_ns else None

    def _set(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._columns = columns_of(self._rules)
        self._of = {rule.name: RuleCounters(rule) for rule in self._rules}

    def _take(self, rows: pa.Table) -> None:
        for rule in self._rules:
            mine = rows.filter(pa.compute.equal(rows.column("budget"), rule.name))
            if mine.num_rows:
                moves = moves_of_rows(rule, mine)
                self._of[rule.name].add(moves, self._of[rule.name].places(moves))

    def _events(
        self,
        found: RuleCounters,
        moves: RuleMoves,
        places: Ints,
        near: Ints,
        now_ns: int,
        raises: Mapping[CounterKey, Raise],
    ) -> list[Event]:
        before, delta = found.amounts(places[near]), moved_amounts(moves)[near]
        now_start_ns = window_at(moves.rule.window, now_ns).start_ns
        events: list[Event] = []
        for row, held, added in zip(near.tolist(), before.tolist(), delta.tolist(), strict=True):
            key = _moved_key(moves, row)
            limit, is_over = self.limit(moves.rule, key, now_ns, raises), key.window_start_ns < now_start_ns
            reached = Reached(key, held, held + added, limit, is_over)
            events += self._fired.events(moves.rule, reached, now_ns)
        return events

    def _rolling_events(
        self, found: RuleCounters, moves: RuleMoves, now_ns: int, raises: Mapping[CounterKey, Raise]
    ) -> list[Event]:
        rule, step, also = moves.rule, bucket_ns(moves.rule.window), Fired()
        by_owner: dict[Owner, dict[int, int]] = {}
        rows = zip(moves.orgs, moves.values, moves.starts_ns, moved_amounts(moves).tolist(), strict=True)
        for org_id, value, start_ns, delta in rows:
            by_owner.setdefault((org_id, value), {})[start_ns] = delta
        events: list[Event] = []
        now_end_ns = window_at(rule.window, now_ns).end_ns or 0
        for owner, deltas in by_owner.items():
            limit = rule.limit
            if raises:
                limit = self.limit(rule, CounterKey(owner[0], rule.name, owner[1], 0), now_ns, raises)
            ends = ends_ns(rule, deltas, now_end_ns)
            for end, before in zip(ends, found.sums(owner, ends), strict=True):
                added = sum(delta for start, delta in deltas.items() if end - rule.window.rolling_ns <= start < end)
                if before + added < found.least:
                    continue
                key = CounterKey(owner[0], rule.name, owner[1], end - step)
                reached = Reached(key, before, before + added, limit, end < now_end_ns)
                fired = list(self._fired.events(rule, reached, now_ns, also))
                also.add(fired)
                events += fired
        return events

    def _arm(self, found: RuleCounters, moves: RuleMoves, places: Ints, near: Ints) -> None:
        """After a commit: counters that were near a threshold may not be for a while."""
        for row, after in zip(near.tolist(), found.amounts(places[near]).tolist(), strict=True):
            found.arm(int(places[row]), self._fired.next_amount(found.rule, _moved_key(moves, row), after))


def _near(found: RuleCounters, moves: RuleMoves, places: Ints, raises: Mapping[CounterKey, Raise]) -> Ints:
    """The rows of counters that may cross a threshold."""
    after = found.amounts(places) + moved_amounts(moves)
    near = after >= found.armed(places)
    if any(key.rule == moves.rule.name for key in raises):
        near |= np.array([_moved_key(moves, row) in raises for row in range(len(moves.values))], np.bool_)
    return np.flatnonzero(near)


def raise_key(rule: Rule, key: CounterKey) -> CounterKey:
    """Under which a raise of a counter's limit is found."""
    return key._replace(window_start_ns=0) if rule.window.rolling_ns else key


def _moved_key(moves: RuleMoves, row: int) -> CounterKey:
    return CounterKey(moves.orgs[row], moves.rule.name, moves.values[row], moves.starts_ns[row])


def _key_now(rule: Rule, owner: Owner, now_ns: int) -> CounterKey:
    """What an event of now is of: a counter, or the bucket that is under way."""
    start_ns, end_ns = window_at(rule.window, now_ns)
    start_ns = (end_ns or 0) - bucket_ns(rule.window) if rule.window.rolling_ns else start_ns
    return CounterKey(owner[0], rule.name, owner[1], start_ns)
