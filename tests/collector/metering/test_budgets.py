"""Gauges of budgets: bounded, without names of people, and about the counters as they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from collector.budgets.model import CounterKey, Rule, Spent, Unit, Window, WindowKind
from collector.exposition import number, render
from collector.metering import table
from collector.metering.budgets import MAX_SCOPES, BudgetGauges
from collector.metering.figures import budgets_now

USD = 10**12
MONTH = Window(WindowKind.MONTH)


@dataclass
class Kept:
    """Counters of one rule."""

    spent: dict[tuple[str, str], int]
    raised: int = 0

    def of_rule(self, rule: str, at_ns: int) -> list[tuple[CounterKey, Spent]]:
        return [(CounterKey(org, rule, value, 0), Spent(amount)) for (org, value), amount in self.spent.items()]

    def limit(self, rule: Rule, key: CounterKey, at_ns: int) -> int:
        return rule.limit + self.raised

    def leased(self, key: CounterKey) -> int:
        return 5 * USD

    def __len__(self) -> int:
        return 3


def shown(rules: Sequence[Rule], kept: Kept) -> list[str]:
    """Lines without comments."""
    text = render(BudgetGauges(lambda: rules, kept, kept).families())
    return [line for line in text.splitlines() if not line.startswith("#")]


TEAMS = Rule("teams", (("team", None),), 10 * USD, Unit.USD, MONTH)


def test_spent_limit_and_share_of_each_scope_value() -> None:
    """Exact amounts in the rule's unit, and how many are where."""
    lines = shown([TEAMS], Kept({("default", "a"): 9 * USD, ("default", "b"): 10 * USD, ("default", "c"): USD // 8}))
    assert 'otel_cost_budget_spent{budget="teams",scope="c",unit="usd"} 0.125' in lines
    assert 'otel_cost_budget_limit{budget="teams",scope="a",unit="usd"} 10' in lines
    assert 'otel_cost_budget_leased{budget="teams",scope="a",unit="usd"} 5' in lines
    assert 'otel_cost_budget_spent_ratio{budget="teams",scope="a"} 0.9' in lines
    assert 'otel_cost_budget_highest_spent_ratio{budget="teams"} 1' in lines
    states = {
        state: f'otel_cost_budget_scopes{{budget="teams",state="{state}"}} 1' for state in ("ok", "warning", "exceeded")
    }
    assert set(states.values()) <= set(lines)
    assert "otel_cost_budget_leases 3" in lines


def test_a_raise_counts() -> None:
    """The limit is the one that holds now."""
    lines = shown([TEAMS], Kept({("default", "a"): 9 * USD}, raised=8 * USD))
    assert 'otel_cost_budget_spent_ratio{budget="teams",scope="a"} 0.5' in lines


@pytest.mark.parametrize("scope", ["user", "run", "conversation", "attribute.tenant"])
def test_names_of_people_runs_and_attributes_are_no_labels(scope: str) -> None:
    """Such a rule shows its highest share and its number of scopes."""
    rule = replace(TEAMS, scope=((scope, None),))
    kept = Kept({("default", f"somebody-{place}"): place * USD for place in range(200)})
    lines = shown([rule], kept)
    assert not any("somebody" in line for line in lines)
    assert f'otel_cost_budget_highest_spent_ratio{{budget="teams"}} {number(19.9)}' in lines
    assert budgets_now([rule], kept, time.time_ns()) == []  # type: ignore[arg-type]


def test_many_scopes_are_bounded_to_those_that_are_worst_off() -> None:
    """Ten thousand customers do not make ten thousand series, and two organisations with one name not two lines."""
    kept = Kept({(org, f"c{place}"): place * USD for place in range(10_000) for org in ("one", "two")})
    lines = shown([replace(TEAMS, scope=(("customer", None),))], kept)
    ratios = [line for line in lines if line.startswith(table.BUDGET_RATIO.name)]
    assert len(ratios) == MAX_SCOPES
    assert any('scope="c9999"' in line for line in ratios)
    assert len(set(lines)) == len(lines)
    assert len(lines) < 120


def test_a_limit_of_nothing_is_exceeded_by_anything() -> None:
    """No division by zero."""
    rule = replace(TEAMS, limit=0)
    assert 'otel_cost_budget_spent_ratio{budget="teams",scope="a"} 1' in shown([rule], Kept({("default", "a"): 1}))
    assert 'otel_cost_budget_spent_ratio{budget="teams",scope="a"} 0' in shown([rule], Kept({("default", "a"): 0}))
