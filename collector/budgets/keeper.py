"""Where counters and the ledger meet: counters move in the ledger's transactions, and new rules are counted from it.

The ledger keeps with each rule's counters what was counted (`counting_of`). A rule that counts what it did keeps its
counters, whatever becomes of its limit; any other is counted from all calls in the ledger, in one transaction with the
calls that come meanwhile. Calls that retention has removed stay in counters that were there before, and no recount
finds them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from collector.budgets.counters import Counters, LeasedCall, Moves, Raises, Recalled
from collector.budgets.counting import WorstRates, columns_of, dimensions_of
from collector.budgets.event_rows import events_of, insert_events
from collector.budgets.model import Event, Rule, Unpriced, Window, WindowKind
from collector.budgets.recount import Difference, differences, held_of, recount, rows_of
from collector.budgets.thresholds import thresholds_of
from collector.budgets.windows import DAY_NS, HOUR_NS
from collector.config.written_rule import as_json
from collector.store import Store
from collector.store import budgets as ledger_budgets
from collector.store.manifest import live
from collector.store.readers import Reader
from collector.store.statements import fetch, query

logger = logging.getLogger(__name__)

FIRST_MEND_NS, LAST_MEND_NS = 10 * 10**9, 3600 * 10**9
"""After a fault in counting all is counted anew so much later; after one that follows within the next wait, that, which
is twice as long. Sooner: a fault that is there each time keeps the writer busy, seconds for ten million calls. Later:
budgets stand still for longer."""

Worst = Callable[[], WorstRates]
"""The dearest rates of the card that is in use."""


class _Counted(NamedTuple):
    """What the ledger says of a rule whose counters it has."""

    counting: str
    since_ns: int
    worst: WorstRates


class BudgetKeeper:
    """Keeps the counters of some rules in step with a store. Make it before the store starts, `start` it after.

    As `Store.budgets` it is called by the store's writer; `set_rules` and `verify` may be called from any thread.
    """

    def __init__(
        self,
        store: Store,
        rules: Sequence[Rule] = (),
        raises: Raises = dict,
        worst: Worst = WorstRates,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.counters = Counters((), raises, clock_ns)
        self._store = store
        self._wanted = tuple(rules)
        self._worst = worst
        self._clock_ns = clock_ns
        self._counted: dict[str, _Counted] = {}
        self._is_broken = False
        self._mends_at_ns, self._mend_ns = 0, FIRST_MEND_NS
        self._mended_ns = 0
        self._ask: ledger_budgets.Ask | None = None
        store.budgets = self

    def start(self) -> None:
        """Count what is not counted yet. The store has been started. Raises StoreUnavailable."""
        self.set_rules(self._wanted)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Have these rules from now on: count those that are new, fire what they have crossed in the windows of now.

        Raises StoreUnavailable; the rules are as they were then.
        """
        self._wanted = tuple(rules)
        self._store.write(lambda connection: self._redefine(connection, tuple(rules)), self._redefined)
        if rules:
            self._store.write(self._fire_due, lambda events: self.counters.apply(Moves(events=events)))

    def mend(self) -> None:
        """Count all anew some time after counting has failed; cheap if it has not. Raises StoreUnavailable, or what
        counting raises again."""
        now_ns = self._clock_ns()
        if self._is_broken and now_ns >= self._mends_at_ns:
            self._mends_at_ns, self._mend_ns = now_ns + self._mend_ns, min(2 * self._mend_ns, LAST_MEND_NS)
            self._mended_ns = now_ns
            self.set_rules(self._wanted)
            logger.warning("budgets are counted again")

    def verify(self) -> list[Difference]:
        """Count all rules anew and compare with the counters in the ledger. Raises StoreUnavailable."""
        return self._store.read(self._verify)

    @property
    def columns(self) -> frozenset[str] | None:
        """See `collector.store.budgets.BudgetMoves`, as for all that follow."""
        return None if self._is_broken or not self.counters.rules else self.counters.columns

    @property
    def hears_leases(self) -> bool:
        """See there."""
        return self.counters.hears_leases

    def moves(self, moved: pa.Table | None, leased: pa.Table | None) -> Moves | None:
        """See there."""
        calls = [LeasedCall(**row) for row in leased.to_pylist()] if leased is not None else []
        if moved is None:
            return Moves(leased=calls)
        return self.counters.moves(moved, leased=calls)

    def apply(self, moved: Moves) -> None:
        """See there."""
        self.counters.apply(moved)

    def load(self, counters: pa.Table, counted: pa.Table, events: pa.Table, ask: ledger_budgets.Ask) -> None:
        """See there. Rules that are not counted yet have to wait for `start`."""
        self._ask = ask
        self._counted = _counted_of(counted)
        self._is_broken = False
        rules = [rule for rule in self._wanted if self._is_counted(rule)]
        self.counters.replace_rules(rules, dict.fromkeys((rule.name for rule in rules), counters.slice(0, 0)))
        self.counters.worst = {name: each.worst for name, each in self._counted.items()}
        self.counters.load(counters, events_of(events))
        self.counters.recall = self._recall

    def _recall(self, rule: str, first_ns: int | None, values: Sequence[str]) -> Recalled:
        """In the writer."""
        assert self._ask is not None, "counters are let go that were never loaded"
        if first_ns is None:
            return Recalled(self._ask(query("budget_counters_of"), [rule, list(values)]), ())
        fired = self._ask(query("budget_events_fired_since"), [rule, first_ns])
        return Recalled(self._ask(query("budget_counters_since"), [rule, first_ns]), events_of(fired))

    def failed(self, error: Exception) -> None:
        """See there."""
        now_ns = self._clock_ns()
        if now_ns - self._mended_ns > self._mend_ns:  # it has held for longer than the last wait
            self._mend_ns = FIRST_MEND_NS
        self._is_broken = True
        self._mends_at_ns = now_ns + self._mend_ns
        logger.error("budgets are not counted, and will be counted anew, soon or at the next start", exc_info=error)

    def _is_counted(self, rule: Rule) -> bool:
        found = self._counted.get(rule.name)
        return found is not None and found.counting == counting_of(rule)

    def _redefine(self, connection: Any, rules: Sequence[Rule]) -> _Redefined:
        """In the writer, in a transaction: count rules that are not, forget those that are gone."""
        now_ns = self._clock_ns()
        stored = _counted_of(fetch(connection, query("budget_counted")))
        counted = {} if self._is_broken else dict(stored)
        fresh = [rule for rule in rules if rule.name not in counted or counted[rule.name].counting != counting_of(rule)]
        worst = self._worst() if any(rule.unpriced is Unpriced.WORST_CASE for rule in fresh) else WorstRates()
        for rule in fresh:
            counted[rule.name] = _Counted(counting_of(rule), _since(rule, stored.get(rule.name), now_ns), worst)
        kept = [rule.name for rule in rules if rule not in fresh]
        connection.execute(query("forget_budget_counters_but"), [kept])
        rows: dict[str, pa.Table] = {}
        if fresh:
            columns = columns_of(fresh)
            calls = ledger_budgets.calls_in(connection, live(connection), columns)
            moved = (ledger_budgets.calls_of(some, columns, 1) for some in calls)
            rows = rows_of(fresh, recount(fresh, moved, dict.fromkeys((rule.name for rule in fresh), worst)))
            for table in rows.values():
                ledger_budgets.add_rows(connection, query("insert_budget_counters"), table)
        connection.execute(query("forget_budget_counted"))
        counted = {rule.name: counted[rule.name] for rule in rules}
        written = pa.Table.from_pylist([_row(rule, counted[rule.name]) for rule in rules])
        ledger_budgets.add_rows(connection, query("insert_budget_counted"), written)
        fired = events_of(fetch(connection, query("budget_events_fired")))
        return _Redefined(tuple(rules), counted, rows, fired)

    def _redefined(self, done: _Redefined) -> None:
        """In the writer: it is committed."""
        self._counted, self._is_broken = done.counted, False
        with self.counters.lock:
            self.counters.worst = {name: each.worst for name, each in done.counted.items()}
            self.counters.replace_rules(done.rules, done.rows)
            self.counters.forget_fired(done.rows, done.fired)

    def _fire_due(self, connection: Any) -> list[Event]:
        events = self.counters.due(self._clock_ns(), [rule.name for rule in self.counters.rules])
        insert_events(connection, events)
        return events

    def _verify(self, reader: Reader) -> list[Difference]:
        counted = _counted_of(reader.table(query("budget_counted")))
        rules = [
            rule
            for rule in self.counters.rules
            if rule.name in counted and counted[rule.name].counting == counting_of(rule)
        ]
        columns = columns_of(rules)
        calls = ledger_budgets.stored_calls(reader.table, reader.segments, columns)
        moved = (ledger_budgets.calls_of(some, columns, 1) for some in calls)
        anew = recount(rules, moved, {name: each.worst for name, each in counted.items()})
        return differences(held_of(rules, reader.table(query("budget_counters"))), anew)


class _Redefined(NamedTuple):
    rules: Sequence[Rule]
    counted: dict[str, _Counted]
    rows: Mapping[str, pa.Table]
    fired: Sequence[Event]


def counting_of(rule: Rule) -> str:
    """All that decides which calls a rule counts, and how, as JSON."""
    window = rule.window
    said = {
        "scope": rule.scope,
        "organization": rule.organization,
        "from_ns": rule.from_ns,
        "worst": rule.unpriced is Unpriced.WORST_CASE,
        "window": [window.kind.value, window.rolling_ns, window.time_zone, window.billing_day, window.week_start],
    }
    return json.dumps(said, sort_keys=True)


def period_of(window: Window) -> str:
    """A window in a word: `day`, `24h`, `7d`."""
    if window.kind is not WindowKind.ROLLING:
        return window.kind.value
    days, rest = divmod(window.rolling_ns, DAY_NS)
    return f"{window.rolling_ns // HOUR_NS}h" if rest else f"{days}d"


def _since(rule: Rule, before: _Counted | None, now_ns: int) -> int:
    """From when on events are of this way of counting. What is only counted again has fired what it has."""
    if before is None:
        return 0
    return before.since_ns if before.counting == counting_of(rule) else now_ns


def _counted_of(rows: pa.Table) -> dict[str, _Counted]:
    return {
        row["budget"]: _Counted(
            row["counting"], row["since_ns"], WorstRates(row["worst_input_pico_usd"], row["worst_output_pico_usd"])
        )
        for row in rows.to_pylist()
    }


def _row(rule: Rule, counted: _Counted) -> dict[str, object]:
    return {
        "budget": rule.name,
        "definition": as_json(rule),
        "counting": counted.counting,
        "since_ns": counted.since_ns,
        "worst_input_pico_usd": counted.worst.input_pico_usd,
        "worst_output_pico_usd": counted.worst.output_pico_usd,
        "scope": ", ".join(dimensions_of(rule)),
        "period": period_of(rule.window),
        "rolling_ns": rule.window.rolling_ns,
        "unit": rule.unit.value,
        "limit_amount": rule.limit,
        "warn_ppm": min(ppm for _, ppm in thresholds_of(rule)),
    }
