"""What there is to group and filter by."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from collector.questions.selection import Ask, Selection


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
    raise NotImplementedError


def dimensions(ask: Ask, selection: Selection) -> Dimensions:
    """Columns, and the attribute keys of the latest calls, most frequent first."""
    raise NotImplementedError
