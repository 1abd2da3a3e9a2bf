"""Budgets as they stand, as gauges."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from collector.budgets.counters import Moves
from collector.budgets.model import PPM, CounterKey, Rule, Spent, Unit, WindowKind
from collector.budgets.windows import window_at
from collector.exposition import Family, Metric, Sample, number
from collector.metering import table
from collector.metering.groups import MAX_LABEL_CHARACTERS
from otel_cost.pricing.money import format_usd

MAX_RULES = 200
"""Rules that are shown, the first by name: about 15 lines each, and those of their scopes."""
MAX_SCOPES = 20
"""Scope values of a rule that have gauges of their own, those with the highest share; the others are in the rule's
highest share and in its number of scopes by state."""
SHOWN = frozenset(
    {"organization", "agent", "customer", "feature", "team", "project", "environment", "provider", "model"}
)
"""Scopes whose values are labels. Of others there are ever more, or they name people."""
FRESH_SECONDS = 2.0
"""Answers within this time are of one reading: a rule may have very many counters."""
STATES = ("ok", "warning", "exceeded")


class Held(Protocol):
    """`collector.budgets.counters.Counters`."""

    def of_rule(self, rule: str, at_ns: int) -> list[tuple[CounterKey, Spent]]: ...
    def limit(self, rule: Rule, key: CounterKey, at_ns: int) -> int: ...


class Leases(Protocol):
    """`collector.budgets.leases.LeaseBook`."""

    def __len__(self) -> int: ...
    def leased(self, key: CounterKey) -> int: ...


class BudgetGauges:
    """Reads rules, counters and leases when somebody asks."""

    def __init__(self, rules: Callable[[], Sequence[Rule]], counters: Held, leases: Leases) -> None:
        self._rules = rules
        self._counters = counters
        self._leases = leases
        self._lock = threading.Lock()
        self._read_at_seconds = float("-inf")
        self._families: list[Family] = []

    def families(self) -> Iterator[Family]:
        """All of them, at most `FRESH_SECONDS` old."""
        with self._lock:
            if time.monotonic() - self._read_at_seconds > FRESH_SECONDS:
                self._families = list(self._read(time.time_ns()).items())
                self._read_at_seconds = time.monotonic()
            yield from self._families

    def _read(self, now_ns: int) -> dict[Metric, list[Sample]]:
        found: dict[Metric, list[Sample]] = {table.BUDGET_LEASES: [Sample((), str(len(self._leases)))]}
        for rule in sorted(self._rules(), key=lambda rule: rule.name)[:MAX_RULES]:
            for metric, sample in self._of_rule(rule, now_ns):
                found.setdefault(metric, []).append(sample)
        return found

    def _of_rule(self, rule: Rule, now_ns: int) -> Iterator[tuple[Metric, Sample]]:
        budget = (("budget", rule.name),)
        held = [
            (key, spent.of(rule.unit), self._counters.limit(rule, key, now_ns))
            for key, spent in self._counters.of_rule(rule.name, now_ns)
        ]
        shares = [spent / limit if limit else float(spent > 0) for _, spent, limit in held]
        warn_at = min(rule.warn_at_ppm, default=PPM) / PPM
        yield table.BUDGET_WARN_AT, Sample(budget, number(warn_at))
        yield table.BUDGET_HIGHEST, Sample(budget, number(max(shares, default=0.0)))
        states = Counter("exceeded" if share >= 1 else "warning" if share >= warn_at else "ok" for share in shares)
        for state in STATES:
            yield table.BUDGET_SCOPES, Sample((*budget, ("state", state)), str(states[state]))
        end_ns = window_at(rule.window, now_ns).end_ns
        if end_ns is not None:
            yield table.BUDGET_RESETS_AT, Sample(budget, number(end_ns / 1e9))
        if is_shown(rule):
            shown: set[str] = set()
            for share, each in sorted(zip(shares, held, strict=True), key=lambda pair: (-pair[0], pair[1][0])):
                scope = _scope_of(each[0], rule)
                if (
                    len(shown) < MAX_SCOPES and scope not in shown
                ):  # of several organisations, the one that is worst off
                    shown.add(scope)
                    yield from self._of_scope(rule, scope, share, *each)

    def _of_scope(
        self, rule: Rule, scope: str, share: float, key: CounterKey, spent: int, limit: int
    ) -> Iterator[tuple[Metric, Sample]]:
        names = (("budget", rule.name), ("scope", scope))
        in_unit = (*names, ("unit", rule.unit.value.lower()))
        yield table.BUDGET_RATIO, Sample(names, number(share))
        amounts = {table.BUDGET_LIMIT: limit, table.BUDGET_SPENT: spent, table.BUDGET_LEASED: self._leases.leased(key)}
        for metric, amount in amounts.items():
            yield metric, Sample(in_unit, format_usd(amount) if rule.unit is Unit.USD else str(amount))


def is_shown(rule: Rule) -> bool:
    """Whether a rule's scope values have gauges of their own."""
    return SHOWN.issuperset(name for name, _ in rule.scope) and rule.window.kind is not WindowKind.RUN


def scope_label(*values: str) -> str:
    """A counter's scope as a label: its value, or the values of its dimensions."""
    return " / ".join(values)[:MAX_LABEL_CHARACTERS]


def _scope_of(key: CounterKey, rule: Rule) -> str:
    return scope_label(*([key.scope_value] if len(rule.scope) == 1 else json.loads(key.scope_value)))


def events_of(moves: Moves) -> Counter[tuple[str, str]]:
    """How often which budget had which kind of event in a commit."""
    return Counter((event.key.rule, event.kind.value) for event in moves.events)
