"""What a request may say in its query: one value for each parameter that reads it and describes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, cast

from collector.serve.api.errors import invalid

T = TypeVar("T")
C = TypeVar("C", bound=str)

MAX_VALUE_CHARS = 4096
"""Of one value. A longer one is no name of anything in the ledger."""
MAX_VALUES = 100
"""Of one parameter that may be repeated, and of parameters in one request; more make the statement slow to plan."""
_SHOWN_CHARS = 60


class Unreadable(ValueError):
    """A value that is none of what its parameter takes; `allowed` says what it takes."""

    def __init__(self, what: str, allowed: str | None = None) -> None:
        super().__init__(what)
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Parameter(Generic[T]):
    """`read` gets one value, or all of them when it may be `repeated`. Raises Unreadable."""

    name: str
    summary: str
    schema: Mapping[str, Any]
    default: T
    read: Callable[[Any], T]
    repeated: bool = False
    required: bool = False


class Given:
    """What one request said: `given[PARAMETER]` has the parameter's type."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __getitem__(self, parameter: Parameter[T]) -> T:
        return cast(T, self._values.get(parameter.name, parameter.default))

    def says(self, parameter: Parameter[Any]) -> bool:
        """Whether the request names it."""
        return parameter.name in self._values


def read_parameters(
    pairs: Sequence[tuple[str, str]],
    parameters: Iterable[Parameter[Any]],
    prefix: str | None = None,
    hints: Iterable[str] = (),
) -> tuple[Given, dict[str, list[str]]]:
    """What `parameters` read in a query's pairs, and the pairs whose name starts with `prefix`.

    Raises:
        ApiError: 400 for a name that nobody reads (with the nearest one), or a value that cannot be read.
    """
    known = {parameter.name: parameter for parameter in parameters}
    said: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in known and not (prefix and name.startswith(prefix) and len(name) > len(prefix)):
            words = [*known, *hints]
            near = get_close_matches(name.lower(), words, n=1, cutoff=0.5)
            shown = shortened(name)
            raise invalid(f"unknown parameter (got {shown})", where=shown, allowed=near[0] if near else _listed(known))
        if len(value) > MAX_VALUE_CHARS:
            raise invalid("is too long", where=shortened(name), allowed=f"at most {MAX_VALUE_CHARS} characters")
        said.setdefault(name, []).append(value)
    if len(pairs) > MAX_VALUES:
        raise invalid("too many parameters", where="query", allowed=f"at most {MAX_VALUES}")
    values = {name: _value(parameter, said[name]) for name, parameter in known.items() if name in said}
    missing = [name for name, parameter in known.items() if parameter.required and name not in said]
    if missing:
        raise invalid("is required", where=missing[0])
    return Given(values), {name: values for name, values in said.items() if name not in known}


def _value(parameter: Parameter[Any], said: list[str]) -> object:
    if len(said) > 1 and not parameter.repeated:
        raise invalid("is there more than once", where=parameter.name, allowed="one value")
    try:
        return parameter.read(said if parameter.repeated else said[0])
    except Unreadable as error:
        shown = shortened(said[-1])
        raise invalid(f"{error} (got {shown})", where=parameter.name, allowed=error.allowed) from None


def shortened(text: str) -> str:
    """As a message may repeat what somebody else sent."""
    plain = re.sub(r"[^ -~\u00a1-\uffff]", "?", text)
    return plain if len(plain) <= _SHOWN_CHARS else plain[:_SHOWN_CHARS] + "..."


def _listed(words: Iterable[str]) -> str | None:
    return ", ".join(words) or None


def nearest(word: str, words: Iterable[str]) -> str:
    """What to offer instead of a word: the nearest, or all of them."""
    words = list(words)
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return near[0] if near else ", ".join(words)


def whole(name: str, summary: str, default: int, least: int, most: int) -> Parameter[int]:
    """A whole number in a range."""

    def read(said: str) -> int:
        if not re.fullmatch(r"\d{1,19}", said, re.ASCII) or not least <= int(said) <= most:
            raise Unreadable("must be a whole number", f"{least} to {most}")
        return int(said)

    schema = {"type": "integer", "minimum": least, "maximum": most, "default": default}
    return Parameter(name, summary, schema, default, read)


def seconds(name: str, summary: str, default: float, most: float) -> Parameter[float]:
    """A positive number of seconds."""

    def read(said: str) -> float:
        if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", said, re.ASCII) or not 0 < float(said) <= most:
            raise Unreadable("must be a number of seconds", f"up to {most:g}")
        return float(said)

    schema = {"type": "number", "exclusiveMinimum": 0, "maximum": most, "default": default}
    return Parameter(name, summary, schema, default, read)


def share(name: str, summary: str) -> Parameter[float | None]:
    """Per cent, None when it is not said."""

    def read(said: str) -> float:
        if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", said, re.ASCII) or float(said) > 100:
            raise Unreadable("must be a number", "0 to 100")
        return float(said)

    return Parameter(name, summary, {"type": "number", "minimum": 0, "maximum": 100}, None, read)


def choice(name: str, summary: str, words: Sequence[C], default: C | None) -> Parameter[C | None]:
    """One of some words; without a default None when it is not said."""

    def read(said: str) -> C:
        for word in words:
            if word == said:
                return word
        raise Unreadable("is not known", nearest(said, words))

    schema: dict[str, Any] = {"type": "string", "enum": list(words)}
    if default is not None:
        schema["default"] = default
    return Parameter(name, summary, schema, default, read)


def flag(name: str, summary: str) -> Parameter[bool]:
    """true or false; false when it is not said."""

    def read(said: str) -> bool:
        if said not in ("true", "false"):
            raise Unreadable("must be true or false", "true, false")
        return said == "true"

    return Parameter(name, summary, {"type": "boolean", "default": False}, False, read)


def text(name: str, summary: str) -> Parameter[str | None]:
    """Any text; None when it is not said or empty."""
    return Parameter(name, summary, {"type": "string"}, None, lambda said: said or None)


def comma_list(name: str, summary: str, most: int) -> Parameter[tuple[str, ...]]:
    """Words with commas between them, or the parameter repeated; at least one."""

    def read(said: Sequence[str]) -> tuple[str, ...]:
        words = tuple(word.strip() for each in said for word in each.split(",") if word.strip())
        if not 1 <= len(words) <= most:
            raise Unreadable("must be a list with commas between", f"1 to {most}")
        return words

    schema = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": most}
    return Parameter(name, summary, schema, (), read, repeated=True, required=True)
