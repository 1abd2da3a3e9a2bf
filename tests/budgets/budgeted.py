"""A collector with a hard budget for each customer, and what it says of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.store.query import query_published
from otel_cost.pricing.money import pico_usd
from tests.support.collector_process import CollectorProcess

BUDGET = "each-customer"
NOTICED_SECONDS = 30.0
_CALLS = "SELECT customer, CAST(sum(cost_usd) * 1000000000000 AS BIGINT) AS cost FROM calls GROUP BY customer"


@dataclass(frozen=True, slots=True)
class Counter:
    """Of one customer, in pico-USD."""

    spent: int
    leased: int
    limit: int


def hard_budget(limit_usd: str, more: str = "", channels: str = "") -> str:
    """`processors` of a config; `more`: keys of the rule, and other rules."""
    return f"""
  budget:
    {channels}
    rules:
      - {{name: {BUDGET}, scope: customer, limit: "{limit_usd} USD/total", on_exceed: [block], {more}}}
"""


def counters(collector: CollectorProcess, rule: str = BUDGET) -> dict[str, Counter]:
    """By customer."""
    return {
        found["scope_value"]: Counter(*(pico_usd(found[name]) for name in ("spent", "leased", "limit")))
        for found in collector.asked(f"budgets/{rule}")["counters"]
    }


def settled_counters(
    collector: CollectorProcess, spent: Mapping[str, int], *, is_given_back: bool = True
) -> dict[str, Counter]:
    """The counters once they hold what was spent, and if `is_given_back` nothing is leased; or as they are after
    `NOTICED_SECONDS`."""
    ends_at = time.monotonic() + NOTICED_SECONDS
    while True:
        found = counters(collector)
        mine = [found.get(customer) for customer in spent]
        are_told = all(
            each is not None and each.spent == cost and not (is_given_back and each.leased)
            for each, cost in zip(mine, spent.values(), strict=True)
        )
        if are_told or time.monotonic() > ends_at:
            return found
        time.sleep(0.05)


def recounted(ledger: Path) -> dict[str, int]:
    """What the calls in the ledger cost each customer: no counter has to do with it."""
    return {row["customer"]: int(row["cost"]) for row in query_published(ledger, _CALLS).to_pylist()}


def verified(collector: CollectorProcess, rules: Sequence[str] = ()) -> str:
    """What `otel-cost budgets verify` says; asserts that it finds no differences."""
    options = [option for rule in rules for option in ("--rule", rule)]
    done = collector.command("budgets", "verify", "--db", str(collector.database), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
