"""Days that are ruled out for another model's sake are ones on which none took over."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.analysis.anomalies import Slice, find
from collector.analysis.decompose import Used
from collector.questions.switches import may_switch

DAYS = 50


def world(seed: int) -> list[list[Used]]:
    """Calls of three models, one of which grows from some day on, or comes and goes; free ones too."""
    chance = random.Random(seed)
    turn, free = chance.randrange(10, DAYS), chance.random() < 0.2
    days = []
    for day in range(DAYS):
        costs = {
            "a": 1_000,
            "b": chance.choice((0, 30, 60)),
            "c": 0 if day < turn else chance.choice((200, 400, 3_000)),
        }
        some = {model: cost * chance.randrange(80, 120) * 10**7 for model, cost in costs.items() if cost}
        days.append([Used(model, None, 5, 100, 0 if free else cost) for model, cost in some.items()])
        if chance.random() < 0.05:
            days[-1] = []
    return days


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_found_is_the_same_with_and_without(seed: int) -> None:
    days = world(seed)
    cells = [(day, each) for day, used in enumerate(days) for each in used]
    switches = may_switch(
        np.array([day for day, _ in cells]),
        np.array([ord(each.model or "") for _, each in cells]),
        np.array([float(each.cost_pico_usd) for _, each in cells]),
        DAYS,
    )
    whole = Slice(None, None, days)
    amounts = [sum(each.cost_pico_usd for each in day) for day in days]
    one, other = Slice("agent", "x", days), Slice("agent", "x", days, amounts, switches)

    def told(slice: Slice) -> list[object]:
        return [(each.day, each.cause, each.slice.dimension, each.parts) for each in find([whole, slice], 15)]

    assert told(one) == told(other)


def test_days_without_a_switch_are_ruled_out() -> None:
    days = np.arange(DAYS).repeat(2)
    found = may_switch(days, np.array([1, 2] * DAYS), np.array([100.0, 100.0] * DAYS), DAYS)
    assert found <= set(range(3))


def test_no_calls_have_no_switch() -> None:
    assert not may_switch(np.array([], np.int64), np.array([], np.int64), np.array([]), DAYS)
