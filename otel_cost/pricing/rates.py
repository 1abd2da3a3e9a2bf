"""Rates of one row of the card, and what they bill: fallbacks, multipliers, hours of the day.

A line is `half_even(quantity x rate x multiplier_ppm, per x 1,000,000)`: rounded once, whatever stands in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import gcd
from typing import NamedTuple

from otel_cost.pricing import units
from otel_cost.pricing.money import PPM, divide_half_even

BEGINNING_NS, END_NS = -(2**63), 2**63 - 1
DAY_NS = 86_400_000_000_000
SECOND_NS = 1_000_000_000
EVERY_DAY = 0b1111111
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0
REGION = "region"

Terms = tuple[tuple[str, str], ...]
"""What a call says beside its variant that changes a row's rates: ("region", "eu"), ("size", "1024x1024"), a fee."""


KEY_PARTS = 5
"""Parts of every row's key: provider, model, variant, valid from, input above. Window, source and terms follow."""
_TERM_NAMES = frozenset({REGION, *units.QUALIFYING, *units.UNITS})


class Rate(NamedTuple):
    """What bills a class: pico-USD per `per` counted quantities, times the multiplier.

    `numerator / denominator` is all of it in lowest terms: an amount is `half_even(quantity x numerator, denominator)`.
    """

    pico_usd: int
    per: int
    explicit: bool  # the class's own, not its parent's
    multiplier_ppm: int
    numerator: int
    denominator: int


LineHead = tuple[int, int, int, int]
"""What is the same in all lines of a leaf: rate, per, amount per counted quantity, multiplier."""


class CommonRates(NamedTuple):
    """The rates of the usual call (text tokens) at hand, per token with the multiplier, and what using them says."""

    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    reasoning: int
    read_is_fallback: bool
    write_is_fallback: bool
    has_long_write: bool


class Window(NamedTuple):
    """Hours of the day in which a row applies: seconds of the UTC day, and days of the week (bit 0 is Monday)."""

    start_seconds: int
    end_seconds: int
    weekdays: int = EVERY_DAY

    def contains(self, at_ns: int) -> bool:
        """Whether `at_ns` (UTC) is inside. A window may cross midnight."""
        day, rest_ns = divmod(at_ns, DAY_NS)
        if not self.weekdays >> ((day + EPOCH_WEEKDAY) % 7) & 1:
            return False
        second = rest_ns // SECOND_NS
        if self.start_seconds <= self.end_seconds:
            return self.start_seconds <= second < self.end_seconds
        return second >= self.start_seconds or second < self.end_seconds


@dataclass(frozen=True, slots=True, eq=False)
class RateRow:
    """Rates of one model in one variant, period and input-size tier."""

    key: str  # provider|model|variant|valid from|input above|...: enough to find the row again
    provider: str
    model: str  # canonical name, as shown; several entries of the card can share one (an alias that moved)
    variant: str
    region: str | None
    valid_from_ns: int
    valid_to_ns: int
    input_tokens_above: int  # applies to calls with more input tokens than this; -1: to all
    window: Window | None
    source: str
    explicit: Mapping[str, int]  # unit -> pico-USD per Unit.per, as the catalogue has it
    multiplier_ppm: int = PPM  # of every line but fees: a discount, a surcharge
    uplift_ppm: int = PPM  # of the region, on what the model itself does (`units.UPLIFTED`)
    common: CommonRates | None = field(init=False)  # None: not priced by text tokens alone, in whole pico-USD each
    derived: tuple[str, ...] = field(init=False)  # priced units whose quantity follows from the call (`units.DERIVED`)
    has_long_write: bool = field(init=False)  # whether cache writes of an hour cost something else than short ones
    heads: dict[str, LineHead] = field(init=False, repr=False)  # of leaves met so far whose lines need no division
    fallbacks: set[str] = field(init=False, repr=False)  # leaves met so far that are billed at a parent's rate
    _rates: dict[str, Rate | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "_rates", {})
        put(self, "heads", {})
        put(self, "fallbacks", set())
        put(self, "derived", tuple(unit for unit in units.DERIVED if unit in self.explicit))
        short, hour = self.rate(units.CACHE_WRITE), self.rate(units.CACHE_WRITE_1H)
        put(self, "has_long_write", short is not None and hour is not None and short.pico_usd != hour.pico_usd)
        put(self, "common", _common_rates(self))

    @property
    def always(self) -> bool:
        """Whether the row prices calls of any time and size."""
        return (
            self.valid_from_ns == BEGINNING_NS
            and self.valid_to_ns == END_NS
            and self.input_tokens_above < 0
            and self.window is None
        )

    def rate(self, leaf: str) -> Rate | None:
        """The rate that bills a leaf, its own or the nearest parent's; None if the model has no price for it."""
        try:
            return self._rates[leaf]
        except KeyError:
            return self._found(leaf)

    def _found(self, leaf: str) -> Rate | None:
        rate = resolve_rate(self.explicit, leaf, self.multiplier_of(leaf))
        if rate is not None and not rate.explicit and leaf not in units.BILLED_AS_PARENT:
            self.fallbacks.add(leaf)  # before anything that another thread could take it for known by
        if rate is not None and rate.denominator == 1:
            self.heads[leaf] = (rate.pico_usd, rate.per, rate.numerator, rate.multiplier_ppm)
        self._rates[leaf] = rate
        return rate

    def multiplier_of(self, leaf: str) -> int:
        """What multiplies a leaf's lines, in millionths: the row's multiplier times the region's, made one figure."""
        unit = units.UNITS.get(leaf)
        if unit is None or unit.family == units.FEES:
            return PPM
        if self.uplift_ppm == PPM or unit.family not in units.UPLIFTED:
            return self.multiplier_ppm
        return divide_half_even(self.multiplier_ppm * self.uplift_ppm, PPM)

    def applies(self, at_ns: int, input_tokens: int) -> bool:
        """Whether the row prices a call at that time with that many input tokens in total."""
        return (
            self.valid_from_ns <= at_ns < self.valid_to_ns
            and input_tokens > self.input_tokens_above
            and (self.window is None or self.window.contains(at_ns))
        )

    def under(self, terms: Terms, uplifts: Mapping[str, int]) -> "RateRow":
        """The row as it is for calls of a region, size, quality, ... ; its key says which."""
        said = dict(terms)
        explicit = dict(self.explicit)
        for unit, choices in units.QUALIFIERS.items():
            for names in choices:
                rate = explicit.get(units.qualified(unit, [said.get(name, "") for name in names]))
                if rate is not None:
                    explicit[unit] = rate
                    break
        explicit |= {name: int(value) for name, value in terms if name in units.UNITS}
        key = key_under(self.key, terms)
        uplift = uplifts[said[REGION]] if REGION in said else PPM
        return replace(self, key=key, explicit=explicit, uplift_ppm=uplift)


def key_under(key: str, terms: Terms) -> str:
    """A row's key for calls with these terms."""
    return "|".join((key, *(f"{name}={value}" for name, value in terms)))


def terms_of_key(key: str) -> Terms:
    """The terms that a row's key ends with."""
    said = [part.partition("=") for part in key.split("|")[KEY_PARTS:]]
    return tuple((name, value) for name, equals, value in said if equals and name in _TERM_NAMES)


def resolve_rate(explicit: Mapping[str, int], leaf: str, multiplier_ppm: int = PPM) -> Rate | None:
    """The rate that bills a leaf among explicit ones (`units.FALLBACKS`)."""
    for position, key in enumerate(units.FALLBACKS.get(leaf, ())):
        pico_usd = explicit.get(key)
        if pico_usd is not None:
            unit = units.UNITS[key]
            per = unit.per * unit.quantum
            common = gcd(pico_usd * multiplier_ppm, per * PPM)
            numerator, denominator = pico_usd * multiplier_ppm // common, per * PPM // common
            return Rate(pico_usd, per, position == 0, multiplier_ppm, numerator, denominator)
    return None


def _common_rates(row: RateRow) -> CommonRates | None:
    found = [row.rate(leaf) for leaf in units.COMMON_LEAVES]
    rates = [rate for rate in found if rate is not None and rate.denominator == 1]
    if len(rates) < len(found) or row.derived:
        return None
    whole, read, write, hour, output, reasoning = (rate.numerator for rate in rates)
    return CommonRates(
        whole, read, write, hour, output, reasoning, not rates[1].explicit, not rates[2].explicit, write != hour
    )


def choose(rows: tuple[RateRow, ...], at_ns: int, input_tokens: int) -> RateRow | None:
    """The row that prices a call: the first that applies, as rows are in order of precedence."""
    for row in rows:
        if row.applies(at_ns, input_tokens):
            return row
    return None
