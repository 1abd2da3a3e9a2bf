"""Calls as counting reads them, and the same counted one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from collector.budgets.counting import MOVED_SCHEMA, WorstRates, key_of
from collector.budgets.model import CounterKey, Rule, Spent, Unit, Unpriced, Window, WindowKind

DAY = Window(WindowKind.DAY)
SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
NOON_NS = 1_760_011_200 * SECOND_NS  # 2025-10-09T12:00:00Z
USD = 10**12
NOTHING = WorstRates()


def rule(name: str = "r", **values: Any) -> Rule:
    """Each customer has 10 USD a day."""
    said: dict[str, Any] = {"scope": (("customer", None),), "limit": 10 * USD, "unit": Unit.USD, "window": DAY}
    return Rule(name, **{**said, **values})


def call(**values: Any) -> dict[str, Any]:
    """A row of `MOVED_SCHEMA`: 1 USD for 10 + 5 tokens of customer `acme` at noon."""
    return {
        "org_id": "default",
        "start_time_ns": NOON_NS,
        "provider": "openai",
        "model": "gpt-4o",
        "customer": "acme",
        "cost_pico_usd": USD,
        "cost_status": "priced",
        "input_tokens": 10,
        "output_tokens": 5,
        "sign": 1,
        **values,
    }


def moved(calls: Iterable[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(each) for each in calls], schema=MOVED_SCHEMA)


def counted(
    rules: Sequence[Rule], calls: Iterable[Mapping[str, Any]], worst: WorstRates = NOTHING
) -> dict[CounterKey, Spent]:
    """What counting must find: call by call, in plain Python."""
    found: dict[CounterKey, Spent] = {}
    for each in calls:
        for one in rules:
            key = key_of(one, each["org_id"], each, each["start_time_ns"])
            if key is None:
                continue
            tokens_in, tokens_out = each["input_tokens"] or 0, each["output_tokens"] or 0
            cost, unpriced = each["cost_pico_usd"], each["cost_status"] in ("unpriced", "partial")
            unpriced |= cost is None
            if unpriced and one.unpriced is Unpriced.WORST_CASE:
                dearest = tokens_in * worst.input_pico_usd + tokens_out * worst.output_pico_usd
                cost = max(cost or 0, min(dearest, 10**18 - 1))
            moved_by = Spent(cost or 0, tokens_in + tokens_out, 1, int(unpriced))
            signed = Spent(*(each["sign"] * amount for amount in moved_by))
            found[key] = found.get(key, Spent()).plus(signed)
    return found
