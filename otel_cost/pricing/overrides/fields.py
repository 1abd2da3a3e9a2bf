"""Readers of single values of overrides: text or number in, whole numbers out, `Bad` when it is no such thing.

Numbers are text or whole (`"0.15"`, 2); a float is taken as it was written, if that can be known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from otel_cost.call import DIMENSIONS
from otel_cost.pricing import units
from otel_cost.pricing.money import PICO_PER_USD, PPM
from otel_cost.pricing.overrides.entry import Bad
from otel_cost.pricing.overrides.values import When

ORGANIZATION = "organization"
CONDITIONS = (ORGANIZATION, *DIMENSIONS)
"""What an entry can ask of a call: the organisation that sent it, or an owner that its span or resource says."""
MAX_ENTRIES = 10_000
"""Entries of one kind. More are a mistake, or a catalogue."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/\[\]-]{0,79}")
_FEE = re.compile(r"([0-9.]+)\s*([A-Za-z]+)\s*/\s*(\S+)")
_QUOTED_PER_MILLION = ("tokens", "characters")
_LARGEST = Decimal(10**9)


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Bad("must be text; put it in quotes" if not isinstance(value, str) else "must not be empty")
    return str(value)


def name(value: Any) -> str:
    if not _NAME.fullmatch(text(value)):
        raise Bad("must be letters, digits, spaces and . _ - : /, at most 80")
    return str(value)


def names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name.strip() for name in value):
        raise Bad("must be a list of provider names as spans say them")
    return tuple(dict.fromkeys(name.strip().lower() for name in value))


def entries(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise Bad("must be a list")
    if len(value) > MAX_ENTRIES:
        raise Bad(f"must have at most {MAX_ENTRIES:,} entries", got=len(value))
    return value


def mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise Bad("must be a mapping of keys to values")
    return value


def choice(words: Iterable[str]) -> Callable[[Any], str]:
    allowed = tuple(words)

    def read(value: Any) -> str:
        if value not in allowed:
            raise Bad("unknown word", words=allowed)
        return str(value)

    return read


def count(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = decimal(value)
        if number != int(number) or not least <= number <= most:
            raise Bad(f"must be a whole number between {least:,} and {most:,}")
        return int(number)

    return read


def decimal(value: Any) -> Decimal:
    """Exactly what was written. A float's text is that, up to the fifteen digits that every double keeps."""
    text = repr(value) if isinstance(value, float) else str(value).strip()
    try:
        number = Decimal("NaN") if isinstance(value, bool | dict | list) else Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Bad("must be a decimal number")
    if isinstance(value, float) and len(number.as_tuple().digits) > 15:
        raise Bad("has more digits than a floating-point number keeps; put it in quotes")
    if abs(number) > _LARGEST:
        raise Bad(f"must be at most {_LARGEST:,}")
    return number


def usd(value: Any) -> Decimal:
    number = decimal(value)
    if number < 0:
        raise Bad("must not be negative")
    if number * PICO_PER_USD != int(number * PICO_PER_USD):
        raise Bad("is finer than one pico-dollar")
    return number


def rate(unit: units.Unit) -> Callable[[Any], int]:
    """Dollars per million tokens or characters, per `Unit.per` of anything else, as pico-USD per `Unit.per`."""
    share = 1_000_000 // unit.per if unit.family in _QUOTED_PER_MILLION else 1

    def read(value: Any) -> int:
        number = decimal(value)
        if number < 0:
            raise Bad("must not be negative")
        pico_usd = number * PICO_PER_USD / share
        if pico_usd != int(pico_usd):
            raise Bad(f"is finer than one pico-dollar per {unit.per:,} {unit.key}")
        return int(pico_usd)

    return read


def percent_ppm(value: Any) -> int:
    """`15%` as 150,000 ppm; above 0."""
    text = value.strip() if isinstance(value, str) else ""
    if not text.endswith("%"):
        raise Bad("must be a percentage such as 15%")
    try:
        part = decimal(text.removesuffix("%").strip()) * 10_000
    except Bad:
        raise Bad("must be a percentage such as 15%") from None
    if part <= 0:
        raise Bad("must be above 0%")
    if part != int(part):
        raise Bad("is finer than 0.0001%")
    return int(part)


def multiplier_ppm(value: Any) -> int:
    number = decimal(value) * PPM
    if number < 0:
        raise Bad("must not be negative")
    if number != int(number):
        raise Bad("must have at most six decimals")
    return int(number)


def fee(value: Any) -> int:
    match = _FEE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Bad("must be an amount per month", allowed='for example "10 USD/month"')
    if match[2] != "USD":
        raise Bad("unknown currency", words=("USD",), got=match[2])
    if match[3] != "month":
        raise Bad("unknown period", words=("month",), got=match[3])
    return int(usd(match[1]) * PICO_PER_USD)


def when(value: Any) -> When:
    pairs = []
    for key, text in mapping(value).items():
        if key not in CONDITIONS:
            raise Bad("unknown condition", words=CONDITIONS, got=key)
        if not isinstance(text, str) or not text.strip():
            raise Bad(f"the {key} must be text; put it in quotes", got=text)
        pairs.append((str(key), str(text)))
    return tuple(sorted(pairs))


def instant_ns(value: Any) -> int:
    """A date or time, UTC unless it has an offset, as nanoseconds since the epoch."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise Bad("must be a date or time such as 2026-01-01 or 2026-01-01T16:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000
