"""From when to when: `--since`, `--until` and `--tz` as instants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import click

_AGE = re.compile(r"(\d{1,6})(m|h|d|w)")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Window:
    """Instants in UTC, start included, end excluded; None: open."""

    since: datetime | None
    until: datetime | None
    zone: ZoneInfo

    def describe(self) -> str:
        """For a table's title, in the reader's time zone."""
        if self.since is None and self.until is None:
            return "all time"
        parts = [f"since {self._local(self.since)}"] if self.since else []
        if self.until:
            parts.append(f"until {self._local(self.until)}")
        return f"{' '.join(parts)} {self.zone.key}"

    def _local(self, instant: datetime) -> str:
        return f"{instant.astimezone(self.zone):%Y-%m-%d %H:%M}"


def window(since: str, until: str | None, tz: str) -> Window:
    """Read the three options.

    Raises:
        click.BadParameter: a text that is none of the accepted forms, an unknown zone, an end before its start.
    """
    zone = _zone(tz)
    now = datetime.now(UTC)
    start = None if since == "all" else _instant(since, zone, now, "--since")
    end = _instant(until, zone, now, "--until") if until else None
    if start and end and end <= start:
        raise click.BadParameter(f"{until} is not after --since {since}", param_hint="--until")
    return Window(start, end, zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from difflib import get_close_matches

        near = get_close_matches(name, available_timezones(), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise click.BadParameter(f"{name!r} is not a time zone{hint}", param_hint="--tz") from None


def _instant(text: str, zone: ZoneInfo, now: datetime, option: str) -> datetime:
    """An age (`7d`), a date or a time; without an offset it is meant in `zone`."""
    age = _AGE.fullmatch(text)
    try:
        if age:
            return now - int(age.group(1)) * _UNIT[age.group(2)]
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither an age (90m, 24h, 7d, 2w, all) nor a date or time (2026-11-01, 2026-11-01T09:30)",
            param_hint=option,
        ) from None
