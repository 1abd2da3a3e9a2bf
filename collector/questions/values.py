"""What there is to group and filter by."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from collector.questions.scope import Scope
from collector.questions.selection import COLUMNS, Ask, Selection
from otel_cost.attributes import OTEL_COST_TAG_PREFIX

_LATEST_CALLS = 5_000
"""Whose attributes are looked at. Fewer: a rare key is not offered. More: each one's JSON is read, 2 us."""
_MOST_KEYS = 500
_MANIFOLD = ("run", "customer", "user", "conversation")
"""Names with many values, of which there are sums apart."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a name; None: the calls that have none."""

    value: str | None
    calls: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute of spans of calls, or of their resource."""

    key: str
    calls: int


@dataclass(frozen=True, slots=True)
class Dimensions:
    """`present`: whether any call of the selection says the column."""

    columns: tuple[str, ...]
    attributes: tuple[Key, ...]
    present: dict[str, bool]


def values(ask: Ask, selection: Selection, key: str, search: str | None = None, limit: int = 20) -> tuple[Value, ...]:
    """Values of a name that contain `search`, whatever the case; the dearest first."""
    wanted: dict[str, object] = {"limit": limit} | ({"search": search} if search else {})
    test = "contains(lower(key_0), lower($search))" if search else "TRUE"
    lines = Scope(ask, selection).rows("values", wanted, keys=(key,), search=test)
    return tuple(Value(line["value"], line["calls"], line["cost_usd"]) for line in lines)


def dimensions(ask: Ask, selection: Selection) -> Dimensions:
    """Columns, and the attribute keys of the latest calls, most frequent first; free tags as the app named them."""
    scope = Scope(ask, selection)
    present: dict[str, bool] = {}
    for names in (_MANIFOLD, tuple(name for name in COLUMNS if name not in _MANIFOLD)):
        said = ",\n    ".join(f'count(key_{at}) > 0 AS "{name}"' for at, name in enumerate(names))
        present |= scope.rows("present", keys=names, present=said)[0]
    lines = scope.rows("attribute_keys", {"calls": _LATEST_CALLS, "keys": _MOST_KEYS})
    keys = tuple(Key(line["key"].removeprefix(OTEL_COST_TAG_PREFIX), line["calls"]) for line in lines)
    return Dimensions(COLUMNS, keys, {name: present[name] for name in COLUMNS})
