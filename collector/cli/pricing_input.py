"""What `otel-cost price` reads: a call to price, from options or from a line of JSON."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from otel_cost.pricing.money import divide_half_even
from otel_cost.pricing.units import UNITS

KEYS = ("provider", "model", "at", "usage", "context")
_FRACTION = re.compile(r"^(?P<whole>.*[T ]\d\d:\d\d:\d\d)[.,](?P<fraction>\d{1,9})(?P<zone>.*)$")
NS_PER_SECOND = 1_000_000_000
LARGEST = 10**30


class InputError(ValueError):
    """A call that cannot be read; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class PriceRequest:
    """One call to price; usage in the quantum of its units."""

    provider: str | None
    model: str | None
    at_ns: int
    usage: Mapping[str, int]
    context: Mapping[str, str]


def parse_json(text: str | bytes) -> Any:
    """JSON with exact decimals. Raises InputError."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}") from error


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def request_from(raw: Any) -> PriceRequest:
    """A decoded JSON object as a call to price.

    Raises:
        InputError: it is no such object.
    """
    if not isinstance(raw, dict):
        raise InputError(f"expected an object with {', '.join(KEYS)}; got {_kind(raw)}")
    unknown = [str(key) for key in raw if key not in KEYS]
    if unknown:
        raise InputError(f"unknown key {unknown[0]!r}; known are {', '.join(KEYS)}")
    return PriceRequest(
        provider=_text(raw, "provider"),
        model=_text(raw, "model"),
        at_ns=at_from(raw.get("at")),
        usage=usage_from(raw.get("usage")),
        context=context_from(raw.get("context")),
    )


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key}: expected text, got {_kind(value)}")
    return value or None


def at_from(value: Any) -> int:
    """An ISO date or time as nanoseconds since the epoch; without a zone it is UTC; None is now. Raises InputError."""
    if value is None:
        return time.time_ns()
    if not isinstance(value, str):
        raise InputError(f"at: expected an ISO date or time as text, got {_kind(value)}")
    text, fraction_ns = value.strip(), 0
    if match := _FRACTION.match(text):
        fraction_ns = int(match["fraction"].ljust(9, "0"))
        text = match["whole"] + match["zone"]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"at: {value!r} is no ISO date or time, such as 2026-09-01 or 2026-09-01T12:30:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_SECOND + since.microseconds * 1000 + fraction_ns


def usage_from(value: Any) -> dict[str, int]:
    """Usage in natural units (tokens, seconds) as quantities in the units' quantum. Raises InputError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"usage: expected an object of unit: quantity, got {_kind(value)}")
    return {key: _quantity(key, quantity) for key, quantity in value.items() if quantity is not None}


def unknown_units(usage: Mapping[str, int]) -> list[str]:
    """What to tell somebody who typed a unit that does not exist, one line each, with the nearest spelling."""
    remarks = []
    for key in usage:
        if key not in UNITS:
            near = get_close_matches(key, UNITS, n=1)
            guess = f'; did you mean "{near[0]}"?' if near else ""
            remarks.append(f"usage.{key}: no such unit, so it has no rate{guess}")
    return remarks


def _quantity(key: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
            raise InvalidOperation
        number = Decimal(value)
        if not number.is_finite() or abs(number) > LARGEST:
            raise InvalidOperation
    except InvalidOperation:
        raise InputError(f"usage.{key}: expected a number, got {_kind(value)} {str(value)[:40]!r}") from None
    numerator, denominator = number.as_integer_ratio()
    quantum = UNITS[key].quantum if key in UNITS else 1
    if quantum == 1 and denominator != 1 and key in UNITS:
        raise InputError(f"usage.{key}: expected a whole number, got {value}")
    return divide_half_even(numerator * quantum, denominator)


def context_from(value: Any) -> dict[str, str]:
    """Context as text by key; null is left out. Raises InputError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"context: expected an object of key: text, got {_kind(value)}")
    for key, text in value.items():
        if isinstance(text, (dict, list)):
            raise InputError(f"context.{key}: expected text, got {_kind(text)}")
    return {key: _plain(text) for key, text in value.items() if text is not None}


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
