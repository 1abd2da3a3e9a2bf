"""Windows of budgets: each time lies in exactly one, whatever the clocks of the place do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.budgets.model import Window, WindowKind
from collector.budgets.windows import (
    DAY_NS,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    bucket_ns,
    counter_start,
    counter_starts,
    window_at,
)

ZONES = (
    *("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Pacific/Kiritimati", "Pacific/Niue", "America/Sao_Paulo", "Africa/Casablanca"),
)
CALENDAR = (WindowKind.HOUR, WindowKind.DAY, WindowKind.WEEK, WindowKind.MONTH)


def ns(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_NS


def shown(window: Window, text: str) -> tuple[str, str]:
    """Start and end by the clock of the window's place."""
    found = window_at(window, ns(text, window.time_zone))
    assert found.end_ns is not None
    zone = ZoneInfo(window.time_zone)
    first, last = (datetime.fromtimestamp(at // SECOND_NS, zone) for at in (found.start_ns, found.end_ns))
    return f"{first:%Y-%m-%d %H:%M}", f"{last:%Y-%m-%d %H:%M}"


def window(kind: WindowKind, zone: str = "UTC", billing_day: int = 1, week_start: int = 0) -> Window:
    return Window(kind, time_zone=zone, billing_day=billing_day, week_start=week_start)


@pytest.mark.parametrize(
    ("held", "at", "expected"),
    [
        (window(WindowKind.HOUR), "2026-11-22T13:59:59", ("2026-11-22 13:00", "2026-11-22 14:00")),
        (window(WindowKind.HOUR, "Asia/Kolkata"), "2026-11-22T13:59", ("2026-11-22 13:00", "2026-11-22 14:00")),
        (window(WindowKind.DAY), "2026-11-22T00:00", ("2026-11-22 00:00", "2026-11-23 00:00")),
        (
            window(WindowKind.DAY, "Pacific/Kiritimati"),
            "2026-11-22T23:59:59",
            ("2026-11-22 00:00", "2026-11-23 00:00"),
        ),
        (window(WindowKind.WEEK), "2026-11-22T12:00", ("2026-11-16 00:00", "2026-11-23 00:00")),
        (window(WindowKind.WEEK, week_start=6), "2026-11-22T12:00", ("2026-11-22 00:00", "2026-11-29 00:00")),
        (window(WindowKind.MONTH), "2026-02-28T23:59:59", ("2026-02-01 00:00", "2026-03-01 00:00")),
        (window(WindowKind.MONTH, billing_day=31), "2026-02-28T00:00", ("2026-02-28 00:00", "2026-03-31 00:00")),
        (window(WindowKind.MONTH, billing_day=31), "2026-02-27T23:59", ("2026-01-31 00:00", "2026-02-28 00:00")),
        (window(WindowKind.MONTH, billing_day=31), "2028-02-29T00:00", ("2028-02-29 00:00", "2028-03-31 00:00")),
        (window(WindowKind.MONTH, billing_day=15), "2026-01-14T00:00", ("2025-12-15 00:00", "2026-01-15 00:00")),
        (window(WindowKind.MONTH, billing_day=15), "2026-12-31T00:00", ("2026-12-15 00:00", "2027-01-15 00:00")),
    ],
)
def test_a_window_starts_and_ends_by_the_clock_of_its_place(held: Window, at: str, expected: tuple[str, str]) -> None:
    assert shown(held, at) == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("America/Sao_Paulo", "2018-11-04", 23),  # midnight itself is skipped
    ],
)
def test_days_on_which_clocks_change_have_other_lengths(zone: str, day: str, hours: float) -> None:
    found = window_at(window(WindowKind.DAY, zone), ns(f"{day}T12:00", zone))
    assert found.end_ns is not None
    assert (found.end_ns - found.start_ns) / HOUR_NS == hours


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    held = window(WindowKind.HOUR, "America/New_York")
    first = ns("2026-11-01T05:30")  # 1:30 EDT
    assert window_at(held, first).start_ns + HOUR_NS == window_at(held, first + HOUR_NS).start_ns


def test_runs_and_totals_have_one_window_for_ever() -> None:
    for kind in (WindowKind.RUN, WindowKind.TOTAL):
        assert window_at(window(kind), 17) == (0, None)


@pytest.mark.parametrize(("rolling", "bucket"), [(24 * HOUR_NS, HOUR_NS), (3 * HOUR_NS, 5 * MINUTE_NS)])
def test_a_rolling_window_is_the_last_buckets(rolling: int, bucket: int) -> None:
    """So many whole buckets, and the one that is under way: what is spent leaves after at most one bucket more."""
    held = Window(WindowKind.ROLLING, rolling_ns=rolling)
    now = ns("2026-11-22T13:37")
    found = window_at(held, now)
    assert bucket_ns(held) == bucket
    assert found.end_ns is not None
    assert found.end_ns - found.start_ns == rolling
    assert found.start_ns <= counter_start(held, now) < found.end_ns
    assert counter_start(held, now - rolling) < found.start_ns


TIMES = st.integers(ns("1980-01-01T00:00"), ns("2100-01-01T00:00"))
WINDOWS = st.builds(
    window, st.sampled_from(CALENDAR), st.sampled_from(ZONES), st.integers(1, 31), st.integers(0, 6)
) | st.builds(lambda hours: Window(WindowKind.ROLLING, rolling_ns=hours * HOUR_NS), st.integers(1, 24 * 40))


@settings(deadline=None)
@given(held=WINDOWS, at=TIMES)
def test_a_time_lies_in_its_window_and_the_next_one_begins_where_it_ends(held: Window, at: int) -> None:
    found = window_at(held, at)
    assert found.end_ns is not None
    assert found.start_ns <= at < found.end_ns
    if held.kind is not WindowKind.ROLLING:
        assert window_at(held, found.end_ns).start_ns == found.end_ns
        assert window_at(held, found.start_ns) == found


@settings(deadline=None)
@given(held=WINDOWS, times=st.lists(TIMES, max_size=20))
def test_many_times_at_once_have_the_same_windows(held: Window, times: list[int]) -> None:
    at_once = counter_starts(held, np.array(times, np.int64))
    assert at_once.tolist() == [counter_start(held, at) for at in times]


@pytest.mark.parametrize("at", [-(2**63), 2**63 - 1])
def test_times_that_no_right_clock_shows_lie_in_some_window(at: int) -> None:
    held = window(WindowKind.DAY, "Europe/Berlin")
    assert counter_starts(held, np.array([at], np.int64)).tolist() == [counter_start(held, at)]


def test_a_day_far_from_utc_is_the_places_day() -> None:
    held = window(WindowKind.DAY, "Pacific/Kiritimati")
    utc = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)  # 00:30 on the 23rd there
    start = datetime.fromtimestamp(window_at(held, int(utc.timestamp()) * SECOND_NS).start_ns // SECOND_NS, UTC)
    assert start == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert start + timedelta(hours=24) == datetime.fromtimestamp(
        window_at(held, int(utc.timestamp()) * SECOND_NS + DAY_NS).start_ns // SECOND_NS, UTC
    )
