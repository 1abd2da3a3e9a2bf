"""Budgets in the published ledger: rules, counters, raises, events, and the calls that they count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches

import click
import pyarrow as pa

from collector.budgets.counters import Counters, Raise, Raises, raise_key
from collector.budgets.counting import WorstRates, columns_of
from collector.budgets.event_rows import events_of
from collector.budgets.model import CounterKey, Event, Rule
from collector.cli.ledger import Ledger
from collector.cli.prices_spend import CALLS_AT_A_TIME
from collector.config import ConfigError
from collector.config.written_rule import from_json
from collector.store.budgets import calls_of, needed_of, selected

NO_TIME_NS, AFTER_ALL_NS = -92 * 10**17, 92 * 10**17
"""1678 and 2261: about the first and the last time that the ledger can say."""

_EPOCH = datetime(1970, 1, 1)
_RAISES = """
SELECT org_id, budget, scope_value, window_start_ns, CAST(sum(raise_amount) AS DECIMAL(38, 0)) AS amount
FROM _ledger.budget_approval
WHERE state = 'approved' AND decided_at_ns <= $at_ns AND raise_ends_at_ns > $at_ns
GROUP BY ALL
"""
_HAS_BUDGETS = """
SELECT 1 FROM duckdb_tables() WHERE schema_name = '_ledger' AND table_name = 'budget_counted'
"""
NO_BUDGETS = (
    "this ledger has no budgets. Write rules into the collector's config (processors.budget.rules) and start it,\n"
    "or try rules on past calls first: otel-cost budgets simulate --rules FILE"
)


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets of a ledger as they are counted."""

    ledger: Ledger
    rules: tuple[Rule, ...]
    worst: Mapping[str, WorstRates]

    def rule(self, name: str) -> Rule:
        """One of them.

        Raises:
            click.BadParameter: there is none of that name; it says what is like it.
        """
        for rule in self.rules:
            if rule.name == name:
                return rule
        names = [rule.name for rule in self.rules]
        near = get_close_matches(name, names, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"budgets here: {', '.join(names)}"
        raise click.BadParameter(f"there is no budget {name!r}; {hint}", param_hint="RULE")

    def counters(self, at_ns: int) -> Counters:
        """As the ledger has them, with the raises that are in force at a time."""
        counters = Counters(self.rules, self._raises(at_ns), lambda: at_ns)
        counters.load(self.rows(), ())
        return counters

    def rows(self) -> pa.Table:
        """Rows of `_ledger.budget_counter`."""
        return self.ledger("SELECT * FROM _ledger.budget_counter", {})

    def counted(self, rules: Sequence[Rule], at_ns: int, since_ns: int, until_ns: int) -> Counters:
        """Counters of some rules from the calls of a time, as far as the ledger still has these."""
        counters = Counters(rules, self._raises(at_ns), lambda: at_ns)
        counters.worst = self.worst
        for calls in calls_between(self.ledger, rules, since_ns, until_ns):
            counters.apply(counters.moves(calls))
        return counters

    def events(self) -> list[Event]:
        """The newest last."""
        sql = "SELECT * FROM _ledger.budget_event WHERE event_id IS NOT NULL ORDER BY happened_at_ns, event_id"
        return events_of(self.ledger(sql, {}))

    def _raises(self, at_ns: int) -> Raises:
        rules = {rule.name: rule for rule in self.rules}
        found: dict[CounterKey, Raise] = {}
        for row in self.ledger(_RAISES, {"at_ns": at_ns}).to_pylist():
            key = CounterKey(row["org_id"], row["budget"], row["scope_value"], row["window_start_ns"])
            if row["budget"] in rules:
                found[raise_key(rules[row["budget"]], key)] = Raise(int(row["amount"]), at_ns + 1)
        return lambda: found


def budgets_of(ledger: Ledger) -> Budgets:
    """The budgets of a ledger.

    Raises:
        click.ClickException: there is no ledger, or it cannot answer, or its rules are of another version.
    """
    if not ledger(_HAS_BUDGETS, {}).num_rows:
        return Budgets(ledger, (), {})
    rules, worst = [], {}
    for row in ledger("SELECT * FROM _ledger.budget_counted ORDER BY budget", {}).to_pylist():
        try:
            rules.append(from_json(row["definition"]))
        except (ConfigError, ValueError) as error:
            raise click.ClickException(f"{ledger.path}: the rule {row['budget']} cannot be read: {error}") from None
        worst[row["budget"]] = WorstRates(row["worst_input_pico_usd"], row["worst_output_pico_usd"])
    return Budgets(ledger, tuple(rules), worst)


def calls_between(
    ledger: Ledger, rules: Sequence[Rule], since_ns: int | None, until_ns: int | None, more: Sequence[str] = ()
) -> Iterator[pa.Table]:
    """Calls in the order in which they started, `CALLS_AT_A_TIME` or a few more at a time, as rules count them.

    `more`: columns of the view `calls` that are wanted besides.
    """
    named = columns_of(rules) | ({"model", "provider"} if more else frozenset())
    columns = dict.fromkeys((*needed_of(named), *more))
    source = "_ledger.call_log" if more else "attempts"
    sql = (
        f"{selected(source, columns, named)} WHERE calls.counted AND calls.start_time >= make_timestamp_ns($since) AND "
        "calls.start_time < make_timestamp_ns($until) ORDER BY calls.start_time, calls.seq"
    )
    for since, until in _periods(ledger, since_ns, until_ns):
        rows = ledger(sql, {"since": since, "until": until})
        if rows.num_rows:
            calls = calls_of(rows, named, 1)
            for name in more:
                if name not in calls.column_names:
                    calls = calls.append_column(name, rows.column(name))
            yield calls


def _periods(ledger: Ledger, since_ns: int | None, until_ns: int | None) -> Iterator[tuple[int, int]]:
    """Times that hold so many calls as are read at once: whole hours."""
    first = NO_TIME_NS if since_ns is None else since_ns
    last = AFTER_ALL_NS if until_ns is None else until_ns
    sql = (
        "SELECT date_trunc('hour', CAST(start_time AS TIMESTAMP)) AS hour, count(*) AS calls FROM calls "
        "WHERE start_time >= make_timestamp_ns($first) AND start_time < make_timestamp_ns($last) "
        "GROUP BY hour ORDER BY hour"
    )
    begin, held = first, 0
    for row in ledger(sql, {"first": first, "last": last}).to_pylist():
        hour_ns = (row["hour"] - _EPOCH) // timedelta(seconds=1) * 10**9
        if held and held + row["calls"] > CALLS_AT_A_TIME:
            yield begin, hour_ns
            begin, held = hour_ns, 0
        held += row["calls"]
    if held:
        yield begin, last
