"""Counters counted anew from the calls in the ledger, and whether those that moved with the calls are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from collector.budgets.counter_rows import COUNTER_SCHEMA, counter_rows, moves_of_rows
from collector.budgets.counting import WorstRates, count
from collector.budgets.model import CounterKey, Rule, Spent
from collector.budgets.rule_counters import RuleCounters


class Difference(NamedTuple):
    """A counter that is not what its calls add up to."""

    key: CounterKey
    held: Spent
    counted: Spent


def recount(
    rules: Sequence[Rule], calls: Iterable[pa.Table], worst: Mapping[str, WorstRates]
) -> dict[str, dict[CounterKey, Spent]]:
    """Every counter of each rule, from all calls (`collector.budgets.counting.MOVED_SCHEMA`, some at a time)."""
    counted = {rule.name: RuleCounters(rule) for rule in rules}
    for some in calls:
        for moves in count(rules, some, worst):
            found = counted[moves.rule.name]
            found.add(moves, found.places(moves))
    return {name: {key: spent for key, spent in found.all() if any(spent)} for name, found in counted.items()}


def rows_of(rules: Sequence[Rule], counted: Mapping[str, Mapping[CounterKey, Spent]]) -> dict[str, pa.Table]:
    """The same as rows of the ledger, by rule."""
    return {rule.name: _rows(rule, counted[rule.name]) for rule in rules}


def held_of(rules: Sequence[Rule], rows: pa.Table) -> dict[str, dict[CounterKey, Spent]]:
    """Rows of the ledger (`COUNTER_SCHEMA`) as counters, without those that hold nothing."""
    held: dict[str, dict[CounterKey, Spent]] = {}
    for rule in rules:
        mine = rows.filter(pa.compute.equal(rows.column("budget"), rule.name))
        found = moves_of_rows(rule, mine).deltas() if mine.num_rows else {}
        held[rule.name] = {key: spent for key, spent in found.items() if any(spent)}
    return held


def differences(
    held: Mapping[str, Mapping[CounterKey, Spent]], counted: Mapping[str, Mapping[CounterKey, Spent]]
) -> list[Difference]:
    """Where the two do not say the same, by key."""
    found: list[Difference] = []
    for name, theirs in counted.items():
        ours = held.get(name, {})
        both = ((key, ours.get(key, Spent()), theirs.get(key, Spent())) for key in sorted(ours.keys() | theirs.keys()))
        found += [Difference(key, mine, anew) for key, mine, anew in both if mine != anew]
    return found


def _rows(rule: Rule, counters: Mapping[CounterKey, Spent]) -> pa.Table:
    if not counters:
        return COUNTER_SCHEMA.empty_table()
    found = RuleCounters(rule)
    moves = found.as_moves(counters)
    return counter_rows([moves])
