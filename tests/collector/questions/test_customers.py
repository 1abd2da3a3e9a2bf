"""How much of a month a window is."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from collector.questions.customers import months
from collector.questions.selection import Window

BERLIN = ZoneInfo("Europe/Berlin")


def at(month: int, day: int, hour: int = 0, zone: ZoneInfo | None = None) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=zone or ZoneInfo("UTC")).astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "until", "zone", "found"),
    [
        (at(4, 1), at(5, 1), "UTC", Fraction(1)),
        (at(4, 1), at(4, 11), "UTC", Fraction(1, 3)),
        (at(1, 31), at(3, 1, 12), "UTC", Fraction(1, 31) + 1 + Fraction(1, 62)),
        (at(3, 1, zone=BERLIN), at(4, 1, zone=BERLIN), "Europe/Berlin", Fraction(1)),
        (at(3, 29, zone=BERLIN), at(3, 30, zone=BERLIN), "Europe/Berlin", Fraction(23, 31 * 24 - 1)),
        (at(4, 1), at(4, 1), "UTC", Fraction(0)),
    ],
)
def test_each_month_counts_by_the_part_of_it_that_is_inside(
    since: datetime, until: datetime, zone: str, found: Fraction
) -> None:
    """Of a month whose clock is changed, too: 29 March 2026 has 23 hours in Berlin."""
    assert months(Window(since, until, ZoneInfo(zone))) == found


def test_neighbouring_windows_add_up_exactly() -> None:
    cut = at(3, 29, 7)
    parts = [months(Window(first, last, BERLIN)) for first, last in ((at(1, 5), cut), (cut, at(6, 2)))]
    assert sum(parts) == months(Window(at(1, 5), at(6, 2), BERLIN))
