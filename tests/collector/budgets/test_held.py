"""What one lease keeps, call by call."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.held import Amounts, CallUnderWay, Held, SettledCall
from collector.budgets.model import CounterKey, Grant, Unit


def held_of(amount: int, each: int = 5) -> Held:
    return Held("l", "h", (Grant(CounterKey("o", "r", "v", 0), Unit.USD, amount),), (each,))


def usd(cost: int | None) -> Amounts:
    return Amounts(cost, 0, 1)


def settled(number: int, reserved: int | None, real: int | None) -> SettledCall:
    return SettledCall(number, usd(reserved), usd(real))


def kept(held: Held) -> int:
    return held.outstanding()[0]


def test_what_a_call_costs_above_its_reservation_is_kept_on_top_of_the_slice() -> None:
    """The other reservations of its holder stand: 5 of 10 are still for another call."""
    held = held_of(10)
    held.settle(settled(0, 5, 9), 1)
    assert kept(held) == 14
    held.store(0, usd(9))
    assert kept(held) == 5


def test_what_a_call_did_not_need_may_be_used_by_the_next() -> None:
    held = held_of(10)
    held.settle(settled(0, 5, 2), 1)
    assert kept(held) == 10
    held.store(0, usd(2))
    assert kept(held) == 8


def test_a_span_that_comes_first_takes_its_cost_and_settling_puts_the_overrun_back() -> None:
    held = held_of(10)
    held.store(0, usd(9))
    assert kept(held) == 1
    held.settle(settled(0, 5, 9), 1)
    assert kept(held) == 5


def test_a_cost_that_is_not_known_is_what_was_reserved_or_what_was_asked_for() -> None:
    held = held_of(10)
    held.settle(settled(0, 4, None), 1)
    held.settle(settled(1, None, None), 1)
    held.close()
    assert kept(held) == 4 + 5


def test_a_call_that_nobody_numbers_is_told_once_each_time() -> None:
    held = held_of(10)
    held.store(None, usd(3))
    held.store(None, usd(3))
    assert kept(held) == 4


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 15), st.permutations("ssgg")), max_size=6),
    st.booleans(),
    st.randoms(),
)
def test_each_call_is_counted_once_whatever_comes_first_and_how_often(
    rest: int, calls: list[tuple[int, int, list[str]]], is_closed: bool, random: object
) -> None:
    """With all settled, kept + stored is the slice and all overruns; with all stored too, the rest of the slice."""
    amount = rest + sum(reserved for reserved, _, _ in calls)
    held = held_of(amount)
    steps = [(number, step) for number, call in enumerate(calls) for step in call[2]]
    random.shuffle(steps)  # type: ignore[attr-defined]
    if is_closed:
        held.close([CallUnderWay(number, usd(reserved)) for number, (reserved, _, _) in enumerate(calls)])
        assert kept(held) == sum(reserved for reserved, _, _ in calls)
    is_settled, is_stored = set(), set()
    for number, step in steps:
        reserved, real, _ = calls[number]
        if step == "s":
            held.settle(settled(number, reserved, real), 1)
            is_settled.add(number)
        else:
            held.store(number, usd(real))
            is_stored.add(number)
        again = Held.of_state(held.state(), 0)
        assert again.outstanding() == held.outstanding()
        if len(is_settled) == len(calls):
            waiting = sum(real for number, (_, real, _) in enumerate(calls) if number not in is_stored)
            charged = sum(min(reserved, real) for reserved, real, _ in calls)
            assert kept(held) == waiting + (0 if is_closed else amount - charged)
    assert not held.has_calls
