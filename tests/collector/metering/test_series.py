"""How many series there are, and what of too many is shown as other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.metering.groups import Groups, Labels
from collector.metering.series import OTHER, SpendSeries
from collector.metering.table import QUANTITIES

LABELS = ("provider", "model", "agent", "team")
CALLS = next(place for place, quantity in enumerate(QUANTITIES) if quantity.name == "calls")


def groups_of(*calls: tuple[Labels, int]) -> Groups:
    """Groups with nothing but calls."""
    amounts = np.zeros((len(calls), len(QUANTITIES)), np.int64)
    amounts[:, CALLS] = [count for _, count in calls]
    return Groups([labels for labels, _ in calls], amounts)


def one(*labels: str, calls: int = 1) -> Groups:
    """One group."""
    return groups_of((labels, calls))


def calls_of(series: SpendSeries, what: str = "shown") -> dict[Labels, int]:
    return {tuple(each["labels"]): each[what][CALLS] for each in series.saved()}


def test_beyond_the_bound_the_last_label_is_given_up_first() -> None:
    """With thousands of agents the spend of each model stays right, and agents that were first keep their series."""
    series = SpendSeries(LABELS, 100)
    series.add(groups_of(*((("openai", f"m{place % 5}", f"agent-{place}", "t"), 1) for place in range(5_000))), 1)
    shown = calls_of(series)
    assert len(shown) <= 101
    assert shown[("openai", "m0", "agent-0", "t")] == 1
    by_model = {f"m{model}": sum(calls for key, calls in shown.items() if key[1] == f"m{model}") for model in range(5)}
    assert by_model == {f"m{model}": 1_000 for model in range(5)}
    assert shown[("openai", "m0", OTHER, OTHER)] > 900
    assert series.other_calls == 5_000 - sum(OTHER not in key for key in shown)


words = st.sampled_from(["a", "b", "c", "d", "", OTHER, "é" * 3])
groups = st.lists(
    st.tuples(st.tuples(words, words, words, words), st.integers(1, 9), st.sampled_from([1, 1, 1, -1])), max_size=200
)


@given(groups, st.integers(10, 60))
def test_nothing_is_lost_and_nothing_falls_however_many_there_are(
    moves: Sequence[tuple[Labels, int, int]], most: int
) -> None:
    """Bounded, complete, monotone, and the same again after it was kept and loaded."""
    series = SpendSeries(LABELS, most)
    total, before = 0, calls_of(series)
    for labels, calls, sign in moves:
        series.add(one(*labels, calls=calls), sign)
        total += sign * calls
        shown = calls_of(series)
        assert all(shown[key] >= value for key, value in before.items())
        before = shown
    assert len(series) <= most + 1
    assert sum(calls_of(series, "real").values()) == total
    again = SpendSeries(LABELS, most)
    again.load(series.saved())
    assert calls_of(again) == calls_of(series)
    for labels, calls, _ in moves:
        for each in (series, again):
            each.add(one(*labels, calls=calls), 1)
    assert calls_of(again) == calls_of(series)


def test_a_call_that_moves_to_another_series_is_caught_up_with_by_what_follows() -> None:
    """The first series waits instead of falling; over time both are right."""
    series = SpendSeries(("agent",), 100)
    series.add(one("", calls=5), 1)
    series.add(one("", calls=5), -1)
    series.add(one("writer", calls=5), 1)
    assert calls_of(series) == {("",): 5, ("writer",): 5}
    series.add(one("", calls=7), 1)
    assert calls_of(series) == {("",): 7, ("writer",): 5}
