"""Local minutes to months: SQL and Python number them alike, and no moment is outside or in two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.questions import buckets
from collector.questions.selection import TIMES

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
ZONES += ["America/Havana", "Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo"]

moments = st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


def _second(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)


@settings(max_examples=30, deadline=None)
@given(zone=st.sampled_from(ZONES), some=st.lists(moments, min_size=1, max_size=40))
def test_sql_and_python_number_every_moment_alike(zone: str, some: list[datetime]) -> None:
    seconds = sorted({_second(moment) for moment in some})
    offsets = buckets.pieces(ZoneInfo(zone), seconds[0], seconds[-1])
    with duckdb.connect() as connection:
        for bucket in TIMES:
            said = connection.execute(
                f"SELECT {buckets.sql(bucket, 's', offsets)} FROM (SELECT unnest(?::BIGINT[]) AS s)", [seconds]
            ).fetchall()
            moments = [datetime.fromtimestamp(second, UTC) for second in seconds]
            assert [row[0] for row in said] == [buckets.number(bucket, each, ZoneInfo(zone)) for each in moments]


@settings(max_examples=60, deadline=None)
@example(zone="Australia/Lord_Howe", bucket="hour", first=datetime(2005, 1, 1, tzinfo=UTC), hours=2032)
@given(zone=st.sampled_from(ZONES), bucket=st.sampled_from(TIMES), first=moments, hours=st.integers(1, 3_000))
def test_buckets_of_a_window_follow_each_other(zone: str, bucket: str, first: datetime, hours: int) -> None:
    """Ascending; the first holds the window's start, the last its end; all between are there once."""
    local = ZoneInfo(zone)
    hours = min(hours, 100) if bucket == buckets.MINUTE else hours
    end = first + timedelta(hours=hours)
    numbers = buckets.numbers(bucket, first, end, local)
    assert numbers == sorted(set(numbers))
    assert numbers[0] == buckets.number(bucket, first, local)
    assert numbers[-1] == buckets.number(bucket, end - timedelta(microseconds=1), local)
    within = {buckets.number(bucket, first + timedelta(minutes=15 * step), local) for step in range(4 * hours)}
    assert within <= set(numbers)
    starts = [buckets.start(bucket, number, local) for number in numbers]
    assert all(buckets.number(bucket, start, local) == number for start, number in zip(starts, numbers, strict=True))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Australia/Lord_Howe", "2026-04-05", 25),
    ],
)
def test_a_day_on_which_the_clock_is_changed_has_that_many_hours(zone: str, day: str, hours: int) -> None:
    local = ZoneInfo(zone)
    number = buckets.number(buckets.DAY, datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=local), local)
    start, end = (buckets.start(buckets.DAY, each, local) for each in (number, number + 1))
    assert len(buckets.numbers(buckets.HOUR, start, end, local)) == hours
    assert buckets.label(buckets.DAY, number, local) == day


def test_minutes_over_the_hour_that_comes_twice_are_each_their_own() -> None:
    local = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 59, 30, tzinfo=UTC)
    numbers = buckets.numbers(buckets.MINUTE, first, first + timedelta(minutes=1), local)
    labels = [buckets.label(buckets.MINUTE, number, local) for number in numbers]
    assert labels == ["2026-10-25T02:59+02:00", "2026-10-25T02:00+01:00"]


def test_the_hour_that_comes_twice_is_two_buckets() -> None:
    local = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    labels = [
        buckets.label(buckets.HOUR, number, local)
        for number in buckets.numbers(buckets.HOUR, first, first + timedelta(hours=1), local)
    ]
    assert labels == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
