"""Counters in memory: what they hold, which thresholds fire, and when they fire again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.counter_rows import COUNTER_SCHEMA
from collector.budgets.counters import Counters, LeasedCall, Moves, Raise
from collector.budgets.model import CounterKey, Event, EventKind, Rule, Spent, Unit, Window, WindowKind
from collector.budgets.rule_counters import RuleCounters
from collector.budgets.windows import window_at
from tests.collector.budgets.moved_calls import HOUR_NS, NOON_NS, USD, call, counted, moved, rule

MINUTE_NS = HOUR_NS // 60
ROLLING = Window(WindowKind.ROLLING, 3 * HOUR_NS)
MIDNIGHT_NS = NOON_NS - 12 * HOUR_NS
KEY = CounterKey("default", "r", "acme", MIDNIGHT_NS)


def take(counters: Counters, *calls: Mapping[str, Any], now_ns: int = NOON_NS) -> list[Event]:
    """Commit calls; what has fired."""
    moves = counters.moves(moved(calls), now_ns)
    counters.apply(moves)
    return list(moves.events)


def said(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.kind.value, event.threshold_ppm) for event in events]


def test_nothing_changes_before_it_is_committed() -> None:
    counters = Counters([rule()])
    moves = counters.moves(moved([call()]), NOON_NS)
    assert counters.spent("r", "default", "acme", NOON_NS) == Spent()
    counters.apply(moves)
    assert counters.spent("r", "default", "acme", NOON_NS) == Spent(USD, 15, 1, 0)
    assert counters.of_rule("r", NOON_NS) == [(KEY, Spent(USD, 15, 1, 0))]
    assert counters.of_rule("r", NOON_NS + 24 * HOUR_NS) == []


def test_each_threshold_fires_once() -> None:
    counters = Counters([rule(warn_at_ppm=(500_000, 800_000))])
    assert take(counters, *[call()] * 4) == []
    assert said(take(counters, call())) == [("warn", 500_000)]
    assert take(counters, call()) == []
    crossed = take(counters, *[call()] * 4)
    assert said(crossed) == [("warn", 800_000), ("exceed", 1_000_000)]
    assert crossed[1] == Event(KEY, EventKind.EXCEED, 1_000_000, NOON_NS, 10 * USD, 10 * USD, Unit.USD)
    assert take(counters, *[call(sign=-1)] * 8) == []
    assert take(counters, *[call()] * 8) == []


def test_late_calls_cross_the_threshold_of_their_own_window() -> None:
    counters = Counters([rule()])
    take(counters, call())
    late = take(counters, *[call(start_time_ns=NOON_NS - 24 * HOUR_NS)] * 9)
    assert [(event.key.window_start_ns, event.kind) for event in late] == [(MIDNIGHT_NS - 24 * HOUR_NS, EventKind.WARN)]


def test_a_budget_of_nothing_is_crossed_by_the_first_call_that_costs() -> None:
    counters = Counters([rule(limit=0)])
    assert take(counters, call(cost_pico_usd=0)) == []
    assert said(take(counters, call(cost_pico_usd=1))) == [("warn", 800_000), ("exceed", 1_000_000)]


def test_what_has_fired_is_known_after_a_restart() -> None:
    counters = Counters([rule()])
    moves = counters.moves(moved([call()] * 9), NOON_NS)
    again = Counters([rule()])
    again.load(moves.rows, moves.events)
    assert again.spent("r", "default", "acme", NOON_NS) == Spent(9 * USD, 135, 9, 0)
    assert said(take(again, call())) == [("exceed", 1_000_000)]


def test_a_raised_limit_fires_once_more_when_it_was_out_of_reach() -> None:
    raises: dict[CounterKey, Raise] = {}
    counters = Counters([rule()], lambda: raises)
    take(counters, *[call()] * 10)
    raises[KEY] = Raise(10 * USD, NOON_NS + HOUR_NS)
    assert take(counters, call()) == []
    assert said(take(counters, *[call()] * 5)) == [("warn", 800_000)]
    assert take(counters, call()) == []
    assert said(take(counters, *[call()] * 3)) == [("exceed", 1_000_000)]
    raises[KEY] = Raise(11 * USD, NOON_NS + HOUR_NS)  # 80 % of 21 USD are spent already
    assert said(take(counters, call())) == [("exceed", 1_000_000)]
    assert take(counters, call(), now_ns=NOON_NS + 2 * HOUR_NS) == []


def test_a_lower_limit_fires_by_itself_what_is_crossed_now() -> None:
    counters = Counters([rule()])
    take(counters, *[call()] * 6, call(start_time_ns=MIDNIGHT_NS - 1))
    counters.replace_rules([rule(limit=7 * USD)], {})
    due = counters.due(NOON_NS, ["r"])
    assert said(due) == [("warn", 800_000)]
    counters.apply(Moves(events=due))
    assert counters.due(NOON_NS, ["r"]) == []
    assert said(take(counters, call())) == [("exceed", 1_000_000)]


@pytest.mark.parametrize("window", [Window(WindowKind.DAY), ROLLING])
def test_a_new_rule_says_nothing_of_windows_that_were_over_their_limit_before_it_came(window: Window) -> None:
    """Not when it comes, and not when a late call or a price run moves them; what crosses one of them now is told."""
    counters, then_ns = Counters([rule(limit=1000 * USD, window=window)]), NOON_NS - 48 * HOUR_NS
    take(counters, *[call(start_time_ns=then_ns)] * 12)
    counters.replace_rules([rule(limit=10 * USD, window=window)], {})
    assert counters.due(NOON_NS, ["r"]) == []
    assert take(counters, call(start_time_ns=then_ns)) == []
    assert take(counters, call(start_time_ns=then_ns, sign=-1), call(start_time_ns=then_ns, cost_pico_usd=9)) == []
    assert take(counters, *[call(start_time_ns=then_ns, sign=-1)] * 5) == []
    assert said(take(counters, *[call(start_time_ns=then_ns)] * 5)) == [("warn", 800_000), ("exceed", 1_000_000)]
    assert said(take(counters, *[call()] * 8)) == [("warn", 800_000)], "in a window of now"


def test_other_rules_keep_their_counters_when_one_is_counted_anew() -> None:
    counters = Counters([rule("a"), rule("b")])
    take(counters, call())
    hourly = rule("b", window=Window(WindowKind.HOUR))
    counters.replace_rules([rule("a"), hourly], {"b": COUNTER_SCHEMA.empty_table()})
    assert counters.spent("a", "default", "acme", NOON_NS) == Spent(USD, 15, 1, 0)
    assert counters.all("b") == {}


def rolling(limit: int = 10 * USD) -> Rule:
    return rule(window=ROLLING, limit=limit, warn_at_ppm=())


def at(minutes: int, **values: Any) -> dict[str, Any]:
    return call(start_time_ns=NOON_NS + minutes * MINUTE_NS, **values)


def test_a_rolling_window_forgets_what_is_older_than_it() -> None:
    counters = Counters([rolling()])
    take(counters, at(0), at(60), at(120), at(179), now_ns=NOON_NS + 179 * MINUTE_NS)
    costs = [
        counters.spent("r", "default", "acme", NOON_NS + minute * MINUTE_NS).calls for minute in (0, 179, 181, 240)
    ]
    assert costs == [1, 4, 3, 2]
    assert counters.spent("r", "default", "acme", NOON_NS + 24 * HOUR_NS) == Spent()
    assert counters.spent("r", "default", "acme", NOON_NS + 179 * MINUTE_NS).calls == 4


def test_a_rolling_window_that_stays_over_its_limit_fires_once_in_its_length() -> None:
    counters = Counters([rolling()])
    fired = []
    for minute in range(0, 600, 5):
        fired += take(counters, at(minute), now_ns=NOON_NS + minute * MINUTE_NS)
    assert [(event.key.window_start_ns - NOON_NS) // MINUTE_NS for event in fired] == [45, 225, 405, 585]


def test_late_calls_cross_a_rolling_window_that_has_passed() -> None:
    counters = Counters([rolling()])
    now_ns = NOON_NS + 1000 * MINUTE_NS
    assert take(counters, *[at(0)] * 5, *[at(100)] * 4, now_ns=now_ns) == []
    (event,) = take(counters, at(10), now_ns=now_ns)
    assert event.key.window_start_ns == NOON_NS + 100 * MINUTE_NS
    assert event.spent == 10 * USD
    assert take(counters, at(50), now_ns=now_ns) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 30)), max_size=40), st.randoms())
def test_sums_of_rolling_windows_are_those_of_their_buckets(
    offsets: list[tuple[int, int]], chance: random.Random
) -> None:
    each, counters, calls = rolling(), Counters([rolling()]), []
    for minute, lag in offsets:
        calls.append(at(minute, customer=chance.choice(["a", "b"])))
        take(counters, calls[-1], now_ns=NOON_NS + (minute + lag) * MINUTE_NS)
        for customer in ("a", "b"):
            asked_ns = NOON_NS + chance.randrange(0, 1200) * MINUTE_NS
            start_ns, end_ns = window_at(ROLLING, asked_ns)
            expected = Spent()
            for key, spent in counted([each], calls).items():
                if key.scope_value == customer and start_ns <= key.window_start_ns < (end_ns or 0):
                    expected = expected.plus(spent)
            assert counters.spent("r", "default", customer, asked_ns) == expected


@pytest.mark.parametrize("window", [Window(WindowKind.DAY), Window(WindowKind.TOTAL), ROLLING])
def test_amounts_beyond_64_bits_are_held_and_compared(window: Window) -> None:
    counters = Counters([rule(window=window, limit=30 * 10**18)])
    events = [event for _ in range(40) for event in take(counters, call(cost_pico_usd=10**18 - 1))]
    assert counters.spent("r", "default", "acme", NOON_NS).cost_pico_usd == 40 * (10**18 - 1)
    assert [event.spent for event in events] == [25 * (10**18 - 1), 31 * (10**18 - 1)]


def test_listeners_are_told_under_the_lock_what_was_committed() -> None:
    counters = Counters([rule()])
    told: list[Moves] = []
    counters.on_applied(told.append, leases=True)
    assert counters.hears_leases
    leased = [LeasedCall("lease-1", USD, 15, True)]
    moves = counters.moves(moved([call()]), NOON_NS, leased)
    assert told == []
    counters.apply(moves)
    assert [each.leased for each in told] == [leased]
    assert told[0].of_rules[0].deltas() == {KEY: Spent(USD, 15, 1, 0)}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-400, 400), max_size=8), st.integers(-240, 240), st.integers(-1, 8))
def test_there_is_room_again_from_the_first_time_on_at_which_so_much_counts(
    minutes: list[int], now: int, most: int
) -> None:
    """Looked for bucket by bucket, and also with calls of the future, which will count, and of before the window."""
    counters = Counters([rolling()])
    take(counters, *(at(minute) for minute in minutes), now_ns=NOON_NS + 400 * MINUTE_NS)
    now_ns = NOON_NS + now * MINUTE_NS
    key = CounterKey("default", "r", "acme", 0)
    _, end_ns = window_at(ROLLING, now_ns)
    assert end_ns is not None
    times = [now_ns, *range(end_ns, end_ns + ROLLING.rolling_ns, 5 * MINUTE_NS)]
    expected = next((each for each in times if counters.amount(key, each) <= most * USD), None)
    assert counters.room_at("r", "default", "acme", now_ns, most * USD) == expected


def test_a_window_of_decades_takes_as_long_as_what_was_spent_in_it() -> None:
    """It has a quarter of a million buckets: to go through all of them for each call took seconds."""
    decades = Window(WindowKind.ROLLING, 30 * 365 * 24 * HOUR_NS)
    counters = Counters([rule("r", window=decades)])
    asked: list[int] = []
    bucket = RuleCounters.bucket

    def noted(self: RuleCounters, owner: tuple[str, str], start_ns: int) -> Spent:
        asked.append(start_ns)
        return bucket(self, owner, start_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RuleCounters, "bucket", noted)
        take(counters, call())
        assert counters.amount(KEY, NOON_NS) == USD
        assert counters.room_at("r", "default", "acme", NOON_NS, 0) == NOON_NS + decades.rolling_ns
    assert len(asked) < 10


def test_when_there_is_room_again() -> None:
    total = rule("t", window=Window(WindowKind.TOTAL))
    counters = Counters([rolling(), rule("d"), total])
    take(counters, at(0), at(7), at(60), now_ns=NOON_NS + 61 * MINUTE_NS)
    now_ns = NOON_NS + 61 * MINUTE_NS
    room = [counters.room_at("r", "default", "acme", now_ns, cost * USD) for cost in (3, 2, 1, 0, -1)]
    times = [None if each is None else (each - NOON_NS) // MINUTE_NS for each in room]
    assert times == [61, 180, 185, 240, None]
    assert counters.amount(CounterKey("default", "r", "acme", 0), now_ns) == 3 * USD
    for time_ns, left in zip(room[1:4], (2, 1, 0), strict=True):
        assert counters.amount(CounterKey("default", "r", "acme", 0), time_ns or 0) == left * USD
    assert counters.room_at("d", "default", "acme", now_ns, 2 * USD) == MIDNIGHT_NS + 24 * HOUR_NS
    assert counters.room_at("t", "default", "acme", now_ns, 2 * USD) is None
    assert counters.amount(KEY._replace(rule="d"), now_ns) == 3 * USD


def test_runs_of_the_past_do_not_fire_when_their_rule_is_new() -> None:
    """There may be many, all of them over; one that goes on fires."""
    runs = rule(scope=(("run", None),), limit=USD, window=Window(WindowKind.RUN))
    counters = Counters([rule(scope=(("run", None),), window=Window(WindowKind.RUN))])
    take(counters, call(run="r1"), call(run="r2"))
    counters.replace_rules([runs], {})
    assert counters.due(NOON_NS, ["r"]) == []
    assert [event.key.scope_value for event in take(counters, call(run="r1"))] == ["r1", "r1"]
