"""`--since`, `--until` and `--tz` as instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from collector.cli.window import window


@pytest.mark.parametrize(("text", "age"), [("90m", timedelta(minutes=90)), ("2w", timedelta(weeks=2))])
def test_an_age_counts_back_from_now(text: str, age: timedelta) -> None:
    since = window(text, None, "UTC").since
    assert since is not None
    assert abs(datetime.now(UTC) - age - since) < timedelta(seconds=5)


def test_a_date_begins_at_midnight_of_the_time_zone() -> None:
    found = window("2026-11-01", "2026-11-02", "Asia/Kolkata")
    assert (found.since, found.until) == (
        datetime(2026, 10, 31, 18, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 18, 30, tzinfo=UTC),
    )


def test_a_day_when_the_clocks_change_has_25_hours() -> None:
    found = window("2026-10-25", "2026-10-26", "Europe/Berlin")
    assert found.since is not None
    assert found.until is not None
    assert found.until - found.since == timedelta(hours=25)


def test_a_time_with_an_offset_keeps_it() -> None:
    assert window("2026-11-01T09:30-05:00", None, "Asia/Tokyo").since == datetime(2026, 11, 1, 14, 30, tzinfo=UTC)


def test_all_is_without_a_beginning() -> None:
    assert window("all", None, "UTC").since is None


@pytest.mark.parametrize(
    ("since", "until", "tz", "message"),
    [
        ("yesterday", None, "UTC", "neither an age"),
        ("999999w", None, "UTC", "neither an age"),
        ("7d", "8d", "UTC", "is not after --since 7d"),
        ("7d", None, "Europe/Berln", "did you mean Europe/Berlin"),
        ("7d", None, "../etc/passwd", "is not a time zone"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(since: str, until: str | None, tz: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        window(since, until, tz)
