"""Safe getters shared by all readers: of any JSON they give the wanted type or nothing, and never raise.

A number that is no number is left out, never read as 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any

from otel_cost.errors import MoneyError
from otel_cost.pricing import money
from otel_cost.pricing.units import MAX_QUANTITY, MICRO

NOTHING: Mapping[str, Any] = MappingProxyType({})

MAX_TEXT = 512
"""Longest name, id or reason that is kept, in characters: a longer one is no name, and would fill spans."""

_decoder: Any = json.JSONDecoder()
_decode = _decoder.scan_once  # written in C, and all that `raw_decode` calls; StopIteration: there is no value
_WHOLE = re.compile(r"[0-9]{1,19}\Z", re.ASCII)
_MAX_DIGITS = 64


def json_of(data: bytes) -> Any:
    """`json.loads`, which for the usual UTF-8 spends as long on finding out the encoding as on a small body.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is too deep.
    """
    try:
        said = data.decode()
        value, end = _decode(said, 0)
        if end == len(said) or not said[end:].strip(" \t\r\n"):
            return value
    except (ValueError, StopIteration):
        pass
    return json.loads(data)


def text(value: object) -> str | None:
    """A non-empty text of at most `MAX_TEXT` characters."""
    return value if type(value) is str and 0 < len(value) <= MAX_TEXT else None


def name(value: object) -> str | None:
    """What names a thing, of a text or a whole number: error codes come as either."""
    return str(value) if type(value) is int and abs(value) <= MAX_QUANTITY else text(value)


def whole(value: object) -> int | None:
    """A whole quantity from 0 to `MAX_QUANTITY`: an int, a float without a fraction, or digits (JSON of int64)."""
    if type(value) is int:  # nearly always
        return value if 0 <= value <= MAX_QUANTITY else None
    if (type(value) is str and _WHOLE.match(value)) or (type(value) is float and value.is_integer()):
        value = int(value)
        return value if 0 <= value <= MAX_QUANTITY else None
    return None


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object; empty where it is none."""
    if type(value) is dict:  # nearly always; asking for a Mapping costs ten times as much
        return value
    return value if value is not None and isinstance(value, Mapping) else NOTHING


def items(value: object) -> Sequence[Any]:
    """A JSON array; empty where it is none."""
    return value if isinstance(value, (list, tuple)) else ()


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a JSON array."""
    found = value if type(value) is list else items(value)
    return [item for item in found if type(item) is dict or isinstance(item, Mapping)]


def at(value: object, *keys: str) -> Any:
    """What is found down a path of object keys; None where it ends early."""
    for key in keys:
        if type(value) is not dict and (value is None or not isinstance(value, Mapping)):
            return None
        value = value.get(key)
        if value is None:
            return None
    return value


def put(usage: MutableMapping[str, int], unit: str, *values: object) -> None:
    """Enter the first of `values` that is a whole quantity, if one is."""
    for value in values:
        quantity = None if value is None else whole(value)
        if quantity is not None:
            usage[unit] = quantity
            return


def _exact(value: object) -> str | None:
    """The decimal text of a JSON number. A float's shortest text is what the provider wrote, up to 15 digits."""
    if type(value) is int or type(value) is float:
        value = repr(value)
    return value.strip() if type(value) is str and len(value) <= _MAX_DIGITS else None


def micros(seconds: object) -> int | None:
    """Millionths of a number that may have decimals (the quantum of seconds in `otel_cost.pricing.units`)."""
    pico = None if seconds is None else pico_usd(seconds)
    quantity = None if pico is None else pico // (money.PICO_PER_USD // MICRO)
    return quantity if quantity is not None and quantity <= MAX_QUANTITY else None


def pico_usd(usd: object) -> int | None:
    """A reported cost in dollars as whole pico-USD, exact; None for what is no cost."""
    written = None if usd is None else _exact(usd)
    if written is None:
        return None
    try:
        amount = money.pico_usd(written)
    except (MoneyError, ArithmeticError, ValueError):
        return None
    return amount if 0 <= amount <= money.MAX_COST_PICO_USD else None


def error_type(status: int, *candidates: object) -> str | None:
    """The first of the provider's own words, else the status as text; None for a success without such a word."""
    for candidate in candidates:
        found = name(candidate)
        if found is not None:
            return found
    return str(status) if status >= 400 else None
