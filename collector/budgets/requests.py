"""Reading the JSON of a request: each field by its type, none left over."""

from __future__ import annotations

import re
from difflib import get_close_matches
from json import dumps
from typing import Any, NoReturn

from otel_cost.pricing.money import MAX_COST_PICO_USD, format_usd, pico_usd

MAX_COUNT = 2**40
"""Tokens or calls of one claim. More is a mistake."""
MAX_ITEMS = 10_000
"""Of a list. Higher: one request holds up all others for longer (about 10 us an item)."""
MAX_TEXTS = 64
"""Names in an object of any. Rules need a few."""
_MAX_SHOWN_CHARS = 60
_USD = re.compile(r"\d{1,12}(\.\d{1,12})?")
_USD_ALLOWED = 'a decimal string of dollars such as "0.0123"'
_REQUIRED = object()


class BadRequest(ValueError):
    """A request that is not understood. `where`: the path of the field; `allowed`: what it may be."""

    def __init__(self, where: str, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.allowed = allowed


class Fields:
    """One JSON object. Each field is asked for once; `close` refuses those that nobody asked for."""

    def __init__(self, data: object, where: str = "") -> None:
        if not isinstance(data, dict):
            raise BadRequest(where, f"must be a JSON object (got {_shown(data)})", "a JSON object")
        self._data: dict[str, Any] = data
        self._where = where
        self._known: list[str] = []

    def close(self) -> None:
        """Raises BadRequest for a field that is not known, with the nearest name that is."""
        for name in self._data:
            if name not in self._known:
                near = get_close_matches(str(name).lower(), self._known, n=1, cutoff=0.6)
                hint = f'; did you mean "{near[0]}"?' if near else ""
                raise BadRequest(self._path(name), f"unknown field{hint}", ", ".join(self._known))

    def text(self, name: str, most_chars: int) -> str:
        """A text that is not empty."""
        return self._text(name, most_chars, self._take(name))

    def optional_text(self, name: str, most_chars: int) -> str | None:
        """A text; missing, null and empty are None."""
        value = self._take(name, None)
        return None if value is None or value == "" else self._text(name, most_chars, value)

    def texts(self, name: str, most_chars: int) -> dict[str, str]:
        """An object of texts with any names; missing and null are {}, as are names whose value is null or empty."""
        value = self._take(name, None)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._wrong(name, "must be a JSON object", value, "a JSON object of texts")
        if len(value) > MAX_TEXTS:
            raise BadRequest(self._path(name), f"has too many names ({len(value)})", f"up to {MAX_TEXTS}")
        said = Fields(value, self._path(name))
        found = {key: said.optional_text(key, most_chars) for key in value}
        return {key: text for key, text in found.items() if text is not None}

    def count(self, name: str, default: object = _REQUIRED, least: int = 0) -> int | None:
        """A whole number; null is as if it were missing."""
        value = self._take(name, default)
        if value is None and default is not _REQUIRED:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
            self._wrong(name, "must be a whole number", value, f"{least} to {MAX_COUNT}")
        return int(value)

    def flag(self, name: str) -> bool:
        """True or false; missing and null are false."""
        value = self._take(name, None)
        if value is not None and not isinstance(value, bool):
            self._wrong(name, "must be true or false", value, "true, false")
        return bool(value)

    def usd(self, name: str, *, optional: bool = False) -> int | None:
        """Pico-USD of a decimal string; null is None."""
        value = self._take(name, None if optional else _REQUIRED)
        if value is None:
            return None
        if not isinstance(value, str) or not _USD.fullmatch(value):
            self._wrong(name, "must be " + _USD_ALLOWED + ", or null", value, _USD_ALLOWED + ", null")
        amount = pico_usd(value)
        if amount > MAX_COST_PICO_USD:
            self._wrong(name, "is more than one call can cost", value, f"up to {format_usd(MAX_COST_PICO_USD)}")
        return amount

    def section(self, name: str, *, optional: bool = False) -> Fields:
        """An object; an optional one that is missing or null is empty."""
        value = self._take(name, None if optional else _REQUIRED)
        return Fields({} if value is None and optional else value, self._path(name))

    def items(self, name: str, or_text: str = "") -> list[Fields]:
        """Objects; none if it is missing or null. `or_text`: a text stands for an object with this field only."""
        value = self._take(name, None)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, "must be a list", value, "a list")
        if len(value) > MAX_ITEMS:
            raise BadRequest(self._path(name), f"has too many items (got {len(value)})", f"up to {MAX_ITEMS}")
        items = [{or_text: each} if or_text and isinstance(each, str) else each for each in value]
        return [Fields(each, f"{self._path(name)}[{place}]") for place, each in enumerate(items)]

    def _take(self, name: str, default: object = _REQUIRED) -> Any:
        self._known.append(name)
        value = self._data.get(name, default)
        if value is _REQUIRED:
            self._refuse_misspelt(name)
            raise BadRequest(self._path(name), "is required")
        return value

    def _refuse_misspelt(self, name: str) -> None:
        """Raises BadRequest if a field that is required stands there by a similar name."""
        near = get_close_matches(name, [key for key in self._data if key not in self._known], n=1, cutoff=0.6)
        if near:
            raise BadRequest(self._path(near[0]), f'unknown field; did you mean "{name}"?', name)

    def _text(self, name: str, most_chars: int, value: object) -> str:
        if not isinstance(value, str) or not value:
            self._wrong(name, "must be text", value, "text")
        if len(str(value)) > most_chars:
            raise BadRequest(self._path(name), f"is too long ({len(str(value))})", f"up to {most_chars} characters")
        return str(value)

    def _wrong(self, name: str, what: str, value: object, allowed: str) -> NoReturn:
        raise BadRequest(self._path(name), f"{what} (got {_shown(value)})", allowed)

    def _path(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else str(name)


def _shown(value: object) -> str:
    text = dumps(value, default=str)
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1] + "…"
