"""Answers as typed values: how they look in JSON, and the schema that says so, from the same type hints.

Money and other exact numbers are decimal strings, instants are UTC with a `Z`, starts of local hours, days, weeks and
months have their zone's offset, and None is null: not known.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from inspect import cleandoc, getdoc
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

MIN_DECIMALS = 2
DECIMAL_PATTERN = r"^-?\d+(\.\d+)?$"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Says:
    """What a field's schema says beside its type, as in `Annotated[int, Says(minimum=0)]`; in JSON Schema's words."""

    description: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    exclusiveMinimum: int | None = None
    minLength: int | None = None
    maxLength: int | None = None
    pattern: str | None = None


def decimal_text(value: Decimal) -> str:
    """Plain digits: no exponent, no trailing zeros but those of cents."""
    whole, _, fraction = f"{value:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(MIN_DECIMALS, '0')}"


def instant_text(value: datetime) -> str:
    """UTC to the microsecond with a `Z`; a time in another zone object keeps its offset, to the second."""
    if value.tzinfo is UTC:
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat(timespec="seconds")


def as_json(value: Any) -> Any:
    """What `json.dumps` takes. Keys of mappings are text."""
    kind: Any = type(value)
    return value if kind in _AS_IT_IS else _writer(kind)(value)


_AS_IT_IS = frozenset({type(None), str, bool, int, float})


@cache
def _writer(of: Any) -> Callable[[Any], Any]:
    """How values of a type are written: found out once, as answers have tens of thousands of them."""
    if issubclass(of, Enum) and issubclass(of, (str, int, float)):
        return lambda value: value.value
    if issubclass(of, (str, int, float)):
        return lambda value: value
    if issubclass(of, Decimal):
        return decimal_text
    if issubclass(of, datetime):
        return instant_text
    if issubclass(of, date):
        return lambda value: value.isoformat()
    if issubclass(of, Mapping):
        return lambda value: {str(key): as_json(item) for key, item in value.items()}
    if is_dataclass(of) or (issubclass(of, tuple) and hasattr(of, "_fields")):
        names = tuple(field.name for field in fields(of)) if is_dataclass(of) else of._fields
        return lambda value: {name: as_json(getattr(value, name)) for name in names}
    if issubclass(of, Sequence):
        return lambda value: [as_json(item) for item in value]
    raise TypeError(f"{of.__name__} has no form in JSON")


@cache
def _names(of: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of))


class Schemas:
    """JSON Schema (2020-12, as OpenAPI 3.1 has it) of type hints; named types are collected in `components`."""

    def __init__(self) -> None:
        self.components: dict[str, Json] = {}
        self._names: dict[type, str] = {}

    def of(self, hint: Any) -> Json:
        """The schema of a type. Raises TypeError for one that `as_json` does not know either."""
        if isinstance(hint, dict):  # written by hand
            return hint
        plain = _PLAIN.get(hint) if isinstance(hint, type) else None
        if plain is not None:
            return dict(plain)
        if hint is Any:
            return {}
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(arguments)
        if origin in (NotRequired, Required):
            return self.of(arguments[0])
        if origin is Literal:
            return _choice(list(arguments))
        if origin in (Union, types.UnionType):
            return self._union(arguments)
        if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is not None and origin is not tuple and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is not None and origin is not tuple and issubclass(origin, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        if isinstance(hint, type):
            return self._named(hint)
        raise TypeError(f"{hint!r} has no schema")

    def _annotated(self, arguments: tuple[Any, ...]) -> Json:
        found = self.of(arguments[0])
        for said in arguments[1:]:
            if isinstance(said, Says):
                found |= {name: getattr(said, name) for name in _names(Says) if getattr(said, name) is not None}
        return found

    def _union(self, arguments: tuple[Any, ...]) -> Json:
        schemas = [self.of(each) for each in arguments if each is not type(None)]
        if len(schemas) == len(arguments):
            return {"anyOf": schemas}
        if len(schemas) == 1 and isinstance(schemas[0].get("type"), str) and "enum" not in schemas[0]:
            return {**schemas[0], "type": [schemas[0]["type"], "null"]}
        return {"anyOf": [*schemas, {"type": "null"}]}

    def _named(self, hint: type) -> Json:
        if issubclass(hint, Enum):
            return _choice([each.value for each in hint])
        if not (is_dataclass(hint) or hasattr(hint, "_fields") or is_typeddict(hint)):
            raise TypeError(f"{hint!r} has no schema")
        if hint not in self._names:
            self._names[hint] = name = self._free_name(hint)
            self.components[name] = {}  # a type may hold itself
            self.components[name] = self._object(hint)
        return {"$ref": f"#/components/schemas/{self._names[hint]}"}

    def _free_name(self, hint: type) -> str:
        """Its own; with that of its module before it where two types have the same."""
        name = hint.__name__.lstrip("_")
        module = hint.__module__.rpartition(".")[2].replace("_", " ").title().replace(" ", "")
        return name if name not in self.components else module + name

    def _object(self, hint: type) -> Json:
        hints = get_type_hints(hint, include_extras=True)
        required = [name for name, each in hints.items() if get_origin(each) is not NotRequired]
        said = getdoc(hint) if hint.__doc__ and not hint.__doc__.startswith(f"{hint.__name__}(") else None
        schema: Json = {
            "type": "object",
            "properties": {name: self.of(each) for name, each in hints.items()},
            "required": required,
            "additionalProperties": False,
        }
        return {**({"description": cleandoc(said)} if said else {}), **schema}


_PLAIN: Mapping[type, Json] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "string", "pattern": DECIMAL_PATTERN},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    object: {},
    dict: {"type": "object"},
}


def _choice(words: list[Any]) -> Json:
    return {"type": "string", "enum": words}
