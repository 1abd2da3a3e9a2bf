"""A window is made of whole months and days that meet, none twice and none left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collector.questions import buckets
from collector.questions.whole import LEAST_MONTHS, Whole, in_months

ZONE = ZoneInfo("UTC")
EPOCH = date(1970, 1, 1)
LAST = datetime(2026, 11, 23, 4, tzinfo=UTC)
FAR = (date(2027, 3, 1) - EPOCH).days


def day(year: int, month: int, number: int) -> int:
    return (date(year, month, number) - EPOCH).days


def days_of(one: Whole, begin: int) -> list[int]:
    """Open ends: from `begin`, and up to FAR."""
    if one.unit == buckets.DAY:
        return list(range(begin if one.first is None else one.first, FAR if one.end is None else one.end))
    found = range(begin, FAR)
    months = [(EPOCH + timedelta(days=each)).year * 12 + (EPOCH + timedelta(days=each)).month - 1 for each in found]
    return [
        each
        for each, month in zip(found, months, strict=True)
        if (one.first is None or month >= one.first) and (one.end is None or month < one.end)
    ]


@pytest.mark.parametrize("first", [None, day(2025, 11, 23), day(2026, 1, 1), day(2026, 8, 31), day(2026, 10, 24)])
@pytest.mark.parametrize("end", [None, day(2026, 11, 1), day(2026, 11, 22), day(2026, 12, 1)])
def test_months_and_days_are_the_window(first: int | None, end: int | None) -> None:
    begin = day(2025, 1, 1) if first is None else first
    found = in_months(Whole("days", buckets.DAY, first, end), "months", LAST, ZONE)
    days = [each for one in found for each in days_of(one, begin)]
    assert sorted(days) == list(range(begin, FAR if end is None else end))
    assert {one.relation for one in found if one.unit == buckets.MONTH} <= {"months"}


def test_a_few_months_are_read_by_day() -> None:
    """Of an open window, up to the last call."""
    for first, months in ((day(2026, 11 - LEAST_MONTHS, 1), 1), (day(2026, 11 - LEAST_MONTHS, 2), 0)):
        found = in_months(Whole("days", buckets.DAY, first, None), "months", LAST, ZONE)
        assert sum(one.unit == buckets.MONTH for one in found) == months
