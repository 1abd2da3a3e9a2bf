"""Differences of cost in four parts that add up, to the pico-dollar."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.analysis.decompose import Parts, Used, decompose

USD = 10**12
used = st.builds(
    Used,
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from(["x", "y", None]),
    st.integers(0, 10**4),
    st.integers(0, 10**8),
    st.integers(0, 10**15),
)


@given(st.lists(used), st.lists(used), st.integers(0, 10**16))
def test_the_parts_add_up_exactly(now: list[Used], usual: list[Used], expected: int) -> None:
    cost = sum(each.cost_pico_usd for each in now if each.calls)
    assert decompose(now, usual, expected).total == cost - expected


def test_twice_the_calls_is_volume() -> None:
    usual = [Used("a", "x", 100, 1_000, 10 * USD), Used("b", "y", 50, 500, 2 * USD)]
    now = [
        each._replace(calls=2 * each.calls, tokens=2 * each.tokens, cost_pico_usd=2 * each.cost_pico_usd)
        for each in usual
    ]
    assert decompose(now, usual, 12 * USD) == Parts(12 * USD, 0, 0, 0)


def test_usual_calls_of_many_days_are_scaled_to_what_is_expected() -> None:
    usual = [Used("a", "x", 1_400, 14_000, 140 * USD)]
    assert decompose([Used("a", "x", 100, 1_000, 10 * USD)], usual, 10 * USD) == Parts(0, 0, 0, 0)


def test_longer_calls_are_tokens() -> None:
    usual = [Used("a", "x", 100, 1_000, 10 * USD)]
    assert decompose([Used("a", "x", 100, 3_000, 30 * USD)], usual, 10 * USD) == Parts(0, 20 * USD, 0, 0)


def test_another_model_is_its_own_part_whether_it_was_known_or_not() -> None:
    usual = [Used("small", "x", 100, 1_000, 10 * USD)]
    now = [Used("large", "z", 100, 1_000, 50 * USD)]
    assert decompose(now, usual, 10 * USD) == Parts(0, 0, 40 * USD, 0)
    both = [*usual, Used("large", "z", 10, 100, 5 * USD)]
    found = decompose(now, both, 15 * USD * 100 // 110)
    assert abs(found.model - found.total) <= 1


def test_another_rate_is_price_and_the_same_rate_never_is() -> None:
    usual = [Used("a", "old", 100, 1_000, 10 * USD)]
    assert decompose([Used("a", "new", 100, 1_000, 15 * USD)], usual, 10 * USD) == Parts(0, 0, 0, 5 * USD)
    less_cached = [Used("a", "old", 100, 1_000, 15 * USD)]
    assert decompose(less_cached, usual, 10 * USD) == Parts(0, 5 * USD, 0, 0)


def test_without_usual_calls_all_of_it_is_volume() -> None:
    assert decompose([Used("a", "x", 3, 5, 7 * USD)], [], 0) == Parts(7 * USD, 0, 0, 0)
    assert decompose([], [], 5 * USD) == Parts(-5 * USD, 0, 0, 0)


def test_calls_that_were_free_and_are_billed_now_are_price() -> None:
    usual = [Used("a", "free", 100, 1_000, 0)]
    assert decompose([Used("a", "paid", 100, 1_000, 9 * USD)], usual, 0) == Parts(0, 0, 0, 9 * USD)
