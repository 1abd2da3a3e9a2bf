"""The closed set of named scalar transforms: how the value of an attribute is read. None of them ever raises.

Both readers use these functions: the scalar reader on each value, the column reader once per distinct value.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping

from otel_cost.call import Flag
from otel_cost.normalise.vocabulary import (
    HOST_PREFIX_PROVIDERS,
    HOST_PROVIDERS,
    HOST_SUFFIX_PROVIDERS,
    OPERATIONS,
    PROVIDERS,
    UNSAID_TIERS,
)

MAX_COUNT = 1 << 40
"""Larger counts are errors of the emitter: a trillion tokens costs more than any budget."""

MAX_USD = 1_000_000
"""Larger reported costs of one call are errors; keeps pico-USD within int64."""

PICO_PER_USD = 10**12
MICROS_PER_SECOND = 1_000_000
MAX_NUMBER_CHARACTERS = 32
MAX_BLOB_CHARACTERS = 65_536
MAX_LITERAL_CHARACTERS = 4_096

_DIGITS = re.compile(r"\s*[+-]?[0-9]+(\.0*)?\s*\Z")

Number = tuple[int | None, int]
"""A quantity and the `Flag` bits that reading it raised; None: not usable."""


def text(value: object) -> str | None:
    """A non-empty text; whole numbers as digits; a JSON-encoded string (mlflow) without its quotes."""
    if type(value) is str:
        return _unquoted(value) if value[:1] == '"' else value or None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if -(1 << 63) <= value < 1 << 63 else None
    return text(str.__str__(value)) if isinstance(value, str) else None


def _unquoted(value: str) -> str | None:
    if len(value) < 2 or value[-1] != '"':
        return value
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    return inner or None if isinstance(inner, str) else value


def operation(value: object) -> str | None:
    """The operation in lower case, old spellings replaced by today's."""
    found = text(value)
    return OPERATIONS.get(lowered := found.strip().lower(), lowered) or None if found else None


def provider(value: object) -> str | None:
    """The provider's OpenTelemetry name. Frameworks are None; unknown names are kept in lower case."""
    found = text(value)
    if found is None:
        return None
    lowered = found.strip().lower()
    if lowered in PROVIDERS:
        return PROVIDERS[lowered]
    if lowered.startswith("fallback:"):
        return None
    family = lowered.partition(".")[0]
    return PROVIDERS.get(family, lowered) or None


def model(value: object) -> str | None:
    """A model name without surrounding blanks."""
    found = text(value)
    return found.strip() or None if found else None


def tier(value: object) -> str | None:
    """The service tier in lower case; a request for `auto` says nothing of what was served."""
    found = text(value)
    lowered = found.strip().lower() if found else ""
    return None if not lowered or lowered in UNSAID_TIERS else lowered


def host(value: object) -> str | None:
    """The provider behind a known host name or URL; None when the host says nothing."""
    found = text(value)
    if found is None:
        return None
    name = found.strip().lower().partition("://")
    bare = (name[2] or name[0]).partition("/")[0].partition(":")[0]
    if bare in HOST_PROVIDERS:
        return HOST_PROVIDERS[bare]
    for prefix, owner in HOST_PREFIX_PROVIDERS:
        if bare.startswith(prefix):
            return owner
    for suffix, owner in HOST_SUFFIX_PROVIDERS:
        if bare.endswith(suffix):
            return owner
    return None


def truth(value: object) -> str | None:
    """`true` for true in any spelling, else None."""
    return "true" if value is True or (isinstance(value, str) and value.strip().lower() == "true") else None


def count(value: object) -> Number:
    """A whole quantity of at least 0. Numeric text is read; everything else is dropped with a flag."""
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value, 0
    if isinstance(value, float):
        return _whole(value)
    if isinstance(value, str):
        return _counted(value)
    return (None, Flag.NOT_A_NUMBER) if isinstance(value, bool) or not isinstance(value, int) else _bounded(int(value))


def positive(value: object) -> Number:
    """As `count`, for fields that an SDK fills with 0 where the provider said nothing."""
    number, flag = count(value)
    return number or None, flag


def estimate(value: object) -> Number:
    """As `count`, for tokens that whoever wrote the span estimated."""
    number, flag = count(value)
    return number, flag if number is None else flag | int(Flag.ESTIMATED)


def _bounded(value: int) -> Number:
    if 0 <= value <= MAX_COUNT:
        return value, 0
    return None, int(Flag.NEGATIVE if value < 0 else Flag.TOO_LARGE)


def _whole(value: float) -> Number:
    if value < 0:
        return None, int(Flag.NEGATIVE)
    if value > MAX_COUNT:
        return None, int(Flag.TOO_LARGE)
    return (int(value), 0) if value.is_integer() else (None, int(Flag.NOT_A_NUMBER))


def _counted(value: str) -> Number:
    if len(value) > MAX_NUMBER_CHARACTERS or not _DIGITS.match(value):
        return None, int(Flag.NOT_A_NUMBER)
    return _bounded(int(value.partition(".")[0]))


def micros(value: object) -> Number:
    """Seconds as whole millionths, half to even."""
    return _scaled(value, MICROS_PER_SECOND, MAX_COUNT)


def usd(value: object) -> Number:
    """A reported amount in USD as whole pico-USD, half to even."""
    return _scaled(value, PICO_PER_USD, MAX_USD * PICO_PER_USD)


def _scaled(value: object, factor: int, limit: int) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, int(Flag.NOT_A_NUMBER)
    if isinstance(value, str):
        return _scaled_text(value, factor, limit)
    if value < 0:
        return None, int(Flag.NEGATIVE)
    if value > limit // factor:
        return None, int(Flag.TOO_LARGE)
    if value != value:  # NaN
        return None, int(Flag.NOT_A_NUMBER)
    return round(value * factor), 0


def _scaled_text(value: str, factor: int, limit: int) -> Number:
    from decimal import Decimal, InvalidOperation  # hardly ever needed, and a millisecond of the app's start-up

    try:
        number = Decimal(value.strip()) if len(value) <= MAX_NUMBER_CHARACTERS else Decimal("NaN")
        if number.is_nan():
            return None, int(Flag.NOT_A_NUMBER)
        if number < 0:
            return None, int(Flag.NEGATIVE)
        if number > limit // factor:
            return None, int(Flag.TOO_LARGE)
        return round(number * factor), 0
    except (InvalidOperation, ValueError):
        return None, int(Flag.NOT_A_NUMBER)


def json_object(value: object) -> Mapping[str, object]:
    """The object in a JSON text; empty when it is none."""
    if not isinstance(value, str) or len(value) > MAX_BLOB_CHARACTERS:
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def literal_object(value: object) -> Mapping[str, object]:
    """The object in a JSON text or in the text of a Python dict (langsmith writes `str(dict)`); empty when none."""
    found = json_object(value)
    if found or not isinstance(value, str) or len(value) > MAX_LITERAL_CHARACTERS or value.count("{") > 20:
        return found
    try:
        literal = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {}
    return literal if isinstance(literal, dict) else {}


def at_path(parsed: Mapping[str, object], path: str) -> object:
    """The scalar at a dotted path of a parsed object; None when there is none."""
    found: object = parsed
    for step in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return None if isinstance(found, Mapping | list | tuple | set | bytes) else found


TEXTS: Mapping[str, Callable[[object], str | None]] = {
    "text": text,
    "operation": operation,
    "provider": provider,
    "model": model,
    "tier": tier,
    "host": host,
    "truth": truth,
}
NUMBERS: Mapping[str, Callable[[object], Number]] = {
    "count": count,
    "positive": positive,
    "estimate": estimate,
    "micros": micros,
    "usd": usd,
}
BLOBS: Mapping[str, Callable[[object], Mapping[str, object]]] = {
    "json_object": json_object,
    "literal_object": literal_object,
}
