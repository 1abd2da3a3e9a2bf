"""When a budget will be used up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.analysis.budget_hits import Counter, hit

BERLIN = ZoneInfo("Europe/Berlin")
EVEN = [[1 / 24] * 24] * 7
DAILY = [24_000_000] * 40
NOON = datetime(2026, 3, 11, 12, tzinfo=BERLIN)
MONTH_END = datetime(2026, 4, 1, tzinfo=BERLIN)


def test_a_steady_budget_is_hit_when_its_rest_is_spent() -> None:
    found = hit(Counter(100_000_000, 160_000_000, MONTH_END), DAILY, 12_000_000, EVEN, NOON, BERLIN)
    assert found is not None
    assert found.at is not None
    assert abs(found.at - datetime(2026, 3, 14, tzinfo=BERLIN)) < timedelta(minutes=5)
    assert found.projected == pytest.approx(100_000_000 + 20.5 * 24_000_000, rel=0.01)


def test_a_limit_beyond_the_window_is_not_hit() -> None:
    found = hit(Counter(1_000, 10**12, MONTH_END), DAILY, 12_000_000, EVEN, NOON, BERLIN)
    assert found is not None
    assert found.at is None


def test_a_limit_that_is_reached_is_not_reached_again() -> None:
    found = hit(Counter(200, 100, MONTH_END), DAILY, 12_000_000, EVEN, NOON, BERLIN)
    assert found is not None
    assert found.at is None
    assert found.projected is not None


def test_too_little_history_says_nothing() -> None:
    assert hit(Counter(50, 100, MONTH_END), [10, 10], 5, EVEN, NOON, BERLIN) is None


def test_a_budget_without_an_end_has_a_day_and_no_projection() -> None:
    found = hit(Counter(0, 24_000_000 * 30, None), DAILY, 12_000_000, EVEN, NOON, BERLIN)
    assert found is not None
    assert found.projected is None
    assert found.at is not None
    assert abs((found.at - NOON.astimezone(UTC)) - timedelta(days=30)) < timedelta(hours=2)  # and an hour of summer


def test_a_rolling_window_is_hit_only_if_more_comes_than_leaves() -> None:
    steady = Counter(7 * 24_000_000, 8 * 24_000_000, None, rolling_days=7)
    assert hit(steady, DAILY, 12_000_000, EVEN, NOON, BERLIN) == (None, None)
    growing = [*[12_000_000] * 34, *[24_000_000] * 6]
    found = hit(Counter(sum(growing[-7:]), 160_000_000, None, rolling_days=7), growing, 12_000_000, EVEN, NOON, BERLIN)
    assert found is not None
    assert found.at is not None
    assert found.at < NOON.astimezone(UTC) + timedelta(days=3)


def test_hours_of_the_day_decide_the_time() -> None:
    office = [[0.0] * 9 + [1 / 8] * 8 + [0.0] * 7] * 7
    counter = Counter(0, 12_000_000, datetime(2026, 3, 13, tzinfo=BERLIN))
    found = hit(counter, DAILY, 0, office, datetime(2026, 3, 12, 2, tzinfo=BERLIN), BERLIN)
    assert found is not None
    assert found.at is not None
    assert found.at.astimezone(BERLIN).hour == 13
