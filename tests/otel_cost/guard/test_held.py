"""What a process keeps of a lease, step by step, as docs/budgets-protocol.md says."""

from __future__ import annotations

from otel_cost.guard.held import Claim, Held


def lease_of(usd: str, calls: str = "10") -> Held:
    grants = [
        {"rule": "a", "unit": "USD", "amount": usd, "each": "0.01"},
        {"rule": "b", "unit": "calls", "amount": calls, "each": 1},
    ]
    return Held({"id": "L", "expires_in_seconds": 30.0, "grants": grants}, Claim({}, 10**10, 100), (), 0.0)


def test_what_a_call_does_not_need_is_there_for_the_next_and_what_it_needs_more_is_not_taken() -> None:
    held = lease_of("0.02")
    assert held.take(2 * 10**10, 100) == 0
    assert held.take(1, 100) is None
    held.settle(0, 5 * 10**9, 50, 1)
    assert [each.rest for each in held.slices] == [15 * 10**9, 9]
    assert held.take(10**10, 100) == 1
    held.settle(1, 9 * 10**10, 50, 1)
    assert [each.rest for each in held.slices] == [5 * 10**9, 8]
    assert held.take(10**9, 100) == 2
    held.settle(2, None, 50, 1)
    held.settle(2, 0, 0, 0)
    assert [each.rest for each in held.slices] == [4 * 10**9, 7], "a cost that is not known is what was reserved"
    assert held.take(10**9, 100) == 3
    held.settle(3, 0, 0, 0)
    assert [each.rest for each in held.slices] == [4 * 10**9, 7], "a call that failed is none"


def test_calls_that_are_being_told_are_in_flight_for_a_release_that_may_overtake_it() -> None:
    held = lease_of("0.10")
    for number in range(3):
        held.take(10**10, 100)
        assert number == held.calls - 1
    held.settle(0, 10**9, 10, 1)
    told = held.begin_telling(10)
    held.settle(1, 10**9, 10, 1)
    assert sorted(call["call"] for call in held.release_body()["in_flight"]) == [0, 1, 2]
    held.end_telling(told, has_heard=False)
    assert [call["call"] for call in held.to_tell] == [0, 1], "it is told again"
    held.end_telling(held.begin_telling(1), has_heard=True)
    assert [call["call"] for call in held.release_body()["in_flight"]] == [2, 1]
    held.settle(2, 0, 0, 0)
    held.end_telling(held.begin_telling(10), has_heard=True)
    assert held.is_done
    assert held.release_body() == {"lease": "L"}
