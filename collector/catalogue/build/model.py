"""What every catalogue is converted to before it is written: plain data, rates as whole pico-USD."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Context, Decimal

from otel_cost.pricing.money import PICO_PER_USD, divide_half_even
from otel_cost.pricing.units import UNITS

_EXACT = Context(prec=80)

Rates = dict[str, int]
"""Unit -> pico-USD per `Unit.per`."""


@dataclass(slots=True)
class Row:
    """Rates of a variant in a period: one list of tiers, lowest first; each tier has all its rates."""

    variant: str
    start_ns: int | None
    end_ns: int | None
    tiers: list[tuple[int, Rates]]
    window: tuple[int, ...] | None = None


@dataclass(slots=True)
class Model:
    """A model with its names and its rows in order of precedence."""

    id: str
    source: str
    names: list[str] = field(default_factory=list)
    patterns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    region: str | None = None
    minimums: dict[str, int] = field(default_factory=dict)
    first_price_ns: int | None = None
    canonical: str | None = None  # shown instead of the id
    uplifts: dict[str, int] = field(default_factory=dict)  # place, or "*" for all others -> millionths of the price
    fees: dict[str, int] = field(
        default_factory=dict
    )  # of a router: unit -> what it adds to the price of what it chose


@dataclass(slots=True)
class Provider:
    """A provider and its models, in the catalogue's order."""

    id: str
    fallback_providers: list[str] = field(default_factory=list)
    billed_at_end: bool = False  # a call costs what holds when it ends
    models: list[Model] = field(default_factory=list)

    def take_names(self, names: list[str]) -> None:
        """Take names from the models that have them, for one that has them from now on."""
        for model in self.models:
            model.names = [name for name in model.names if name not in names]


@dataclass(slots=True)
class Rounding:
    """Rates that are no whole pico-USD, as they were and as they are."""

    entries: list[tuple[str, str, str, int]] = field(default_factory=list)

    def whole(self, where: str, unit: str, exact: Decimal) -> int:
        """`exact` pico-USD as a whole number, half-even; noted when that changes it."""
        numerator, denominator = exact.as_integer_ratio()
        result = divide_half_even(numerator, denominator)
        if denominator != 1:
            self.entries.append((where, unit, str(exact.normalize(_EXACT)), result))
        return result


def rate_pico_usd(where: str, unit: str, usd: Decimal, per: int, rounding: Rounding) -> int:
    """A price of `usd` per `per` natural units as pico-USD per `Unit.per` natural units."""
    scaled = _EXACT.multiply(usd, Decimal(PICO_PER_USD * UNITS[plain_unit(unit)].per))
    return rounding.whole(where, unit, _EXACT.divide(scaled, Decimal(per)))


def plain_unit(unit: str) -> str:
    """The unit of a rate that holds for one size, quality or context only: `output_images_1024x1024_hd`.

    Raises:
        KeyError: no unit begins like this.
    """
    plain = unit
    while plain not in UNITS:
        plain, cut, _ = plain.rpartition("_")
        if not cut:
            raise KeyError(unit)
    return plain


def midnight_ns(day: date) -> int:
    """Nanoseconds since the epoch at the start of a UTC day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
