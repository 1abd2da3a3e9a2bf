"""The selection: which calls a request is about. Read here and nowhere else, for every view and every export."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from collector.questions.selection import COLUMNS, STATUSES, Filter, Selection, Window
from collector.serve.api.errors import invalid
from collector.serve.api.parameters import Given, Parameter, Unreadable, nearest, shortened
from otel_cost.pricing.result import Status

ATTRIBUTE_PREFIX = "attr."
"""`attr.KEY=VALUE` is a filter by any attribute of a call's span."""
WORDS = ("today", "yesterday", "week", "month", "all")
_AGE = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_FORMS = "90m, 24h, 7d, 2w, today, yesterday, week, month, all, 2026-11-01, 2026-11-01T09:30, 2026-11-01T09:30:00+01:00"
_EARLIEST, _LATEST = datetime(1700, 1, 1, tzinfo=UTC), datetime(2260, 1, 1, tzinfo=UTC)
"""Within what the ledger's times can hold."""
DEFAULT_SINCE = "30d"
_WHEN_SCHEMA: Mapping[str, Any] = {
    "anyOf": [
        {"type": "string", "enum": list(WORDS)},
        {"type": "string", "pattern": r"^\d{1,6}[mhdw]$"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
    ]
}
When = timedelta | datetime | str
"""An age, an instant (naive: meant in the zone), or one of `WORDS`."""


def _when(said: str) -> When:
    if said in WORDS:
        return said
    age = _AGE.fullmatch(said)
    if age:
        return int(age.group(1)) * _UNIT[age.group(2)]
    try:
        return datetime.fromisoformat(said.replace(" ", "+"))  # an unescaped + of an offset is a blank in a query
    except ValueError:
        raise Unreadable("is no age, day or time", _FORMS) from None


@cache
def zone_names() -> tuple[str, ...]:
    """All zones that this machine knows, sorted. Reads a hundred folders the first time."""
    return tuple(sorted(available_timezones() - {"Factory", "localtime"}))


def zone(said: str) -> ZoneInfo:
    """Raises Unreadable for a name that is no zone's."""
    try:
        if said in zone_names():
            return ZoneInfo(said)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise Unreadable("is not a time zone", _zone_like(said))


def _zone_like(said: str) -> str:
    words = {name.lower(): name for name in zone_names()}
    near = nearest(said, words)
    return words.get(near) or "an IANA name, as in Europe/Berlin"


SINCE: Parameter[When] = Parameter(
    "since",
    "From when on: an age, a word for the start of a local day, week or month, or a time; without offset it is in tz",
    _WHEN_SCHEMA,
    30 * _UNIT["d"],
    _when,
)
UNTIL: Parameter[When | None] = Parameter("until", "Until when, excluded; now without it", _WHEN_SCHEMA, None, _when)
ZONE: Parameter[ZoneInfo | None] = Parameter(
    "tz",
    "In which time zone days begin; extensions.api.time_zone without it, or UTC",
    {"$ref": "#/components/schemas/TimeZone"},
    None,
    zone,
)


def _texts(said: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys(value or None for value in said))


def _filter(name: str, words: Sequence[str] = ()) -> Parameter[tuple[str | None, ...]]:
    """Values of one key, any of which fits; an empty one means calls that have none."""

    def read(said: Sequence[str]) -> tuple[str | None, ...]:
        for value in said:
            if words and value not in words:
                raise Unreadable("is not known", nearest(value, words))
        return _texts(said)

    item: Mapping[str, Any] = {"type": "string", "enum": list(words)} if words else {"type": "string"}
    summary = "Only calls with one of these" + ("" if words else "; empty: calls that have none")
    return Parameter(name, summary, {"type": "array", "items": item, "minItems": 1}, (), read, repeated=True)


TRACE_SCHEMA: Mapping[str, Any] = {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"}


def trace_id(said: str) -> str:
    """As the ledger has it. Raises Unreadable."""
    if not re.fullmatch(r"[0-9a-f]{32}", said, re.ASCII | re.IGNORECASE):
        raise Unreadable("is not a trace id", "32 hexadecimal digits")
    return said.lower()


def _traces(said: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys(map(trace_id, said)))


_TRACES: Parameter[tuple[str | None, ...]] = Parameter(
    "trace_id",
    "Only calls of one of these traces",
    {"type": "array", "items": TRACE_SCHEMA, "minItems": 1},
    (),
    _traces,
    repeated=True,
)
_WORDS_OF = {"cost_status": tuple(status.value for status in Status), "status": STATUSES}
FILTERS = (*(_filter(name, _WORDS_OF.get(name, ())) for name in (*COLUMNS, "status")), _TRACES)


def filter_of(name: str) -> Parameter[tuple[str | None, ...]]:
    """The filter of that name."""
    return next(each for each in FILTERS if each.name == name)


PARAMETERS: tuple[Parameter[Any], ...] = (SINCE, UNTIL, ZONE, *FILTERS)


@dataclass(frozen=True, slots=True)
class SelectionShown:
    """Which calls an answer is about, as it was understood. Times are null where they are open."""

    since: datetime | None
    until: datetime | None
    tz: str
    filters: Mapping[str, Sequence[str | None]]


def selection(
    given: Given, attributes: Mapping[str, Sequence[str]], org: str | None, now: datetime, default_zone: ZoneInfo
) -> Selection:
    """The selection of a request of an organisation (None: whoever asks may see all).

    Raises:
        ApiError: 400, the end is not after the start, or a time is out of any calendar.
    """
    tz = given[ZONE] or default_zone
    since = _instant(given[SINCE], "since", now, tz)
    wanted = given[UNTIL]
    until = None if wanted is None else _instant(wanted, "until", now, tz)
    if since is not None and until is not None and until <= since:
        raise invalid("is not after since", where="until", allowed=f"after {since.isoformat()}")
    filters = [Filter(each.name, given[each]) for each in FILTERS if given[each]]
    filters += [Filter(name, _texts(said)) for name, said in attributes.items()]
    return Selection(org, Window(since, until, tz), tuple(filters))


def timeless(selected: Selection) -> Selection:
    """The same calls at any time."""
    return replace(selected, window=Window(None, None, selected.window.zone))


def shown(selected: Selection) -> SelectionShown:
    """For `selection` in an answer."""
    filters = {each.key: [value or "" for value in each.values] for each in selected.filters}
    window = selected.window
    return SelectionShown(window.since, window.until, window.zone.key, filters)


def _instant(when: When, where: str, now: datetime, tz: ZoneInfo) -> datetime | None:
    """UTC. None: open."""
    if when == "all":
        return None
    try:
        if isinstance(when, timedelta):
            found = now - when
        elif isinstance(when, datetime):
            found = (when if when.tzinfo else when.replace(tzinfo=tz)).astimezone(UTC)
        else:
            found = start_of(when, now, tz)
    except OverflowError:
        if isinstance(when, timedelta):
            return _EARLIEST
        allowed = f"{_EARLIEST.date()} to {_LATEST.date()}"
        raise invalid(f"is out of the calendar (got {shortened(str(when))})", where=where, allowed=allowed) from None
    return min(max(found, _EARLIEST), _LATEST)


def start_of(word: str, now: datetime, tz: ZoneInfo) -> datetime:
    """When the current local day, week (Monday) or month began, or the day before; UTC."""
    day = now.astimezone(tz).date()
    if word == "yesterday":
        day -= timedelta(days=1)
    elif word == "week":
        day -= timedelta(days=day.weekday())
    elif word == "month":
        day = day.replace(day=1)
    return datetime(day.year, day.month, day.day, tzinfo=tz).astimezone(UTC)
