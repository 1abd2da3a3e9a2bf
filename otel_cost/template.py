"""What repeats in spans of one shape and one set of names, and the arithmetic that is left for each of them.

The short way of `otel_cost.shortcut`. It covers text tokens, cached, cache-written and reasoning ones among them, where
the counts fit each other in a way that `otel_cost.normalise.settle` leaves as it is or completes by a plain sum. All
else is refused (None) and goes the long way.

Plain classes here: a dataclass or NamedTuple costs a millisecond of the app's start-up each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from otel_cost import attributes as keys
from otel_cost.normalise.plan import Plan
from otel_cost.normalise.rules import TOTAL, Dialect, Input
from otel_cost.normalise.transforms import MAX_USD, NUMBERS
from otel_cost.pricing import units
from otel_cost.pricing.choice import Choice, rows_in_order
from otel_cost.pricing.money import MAX_COST_PICO_USD, PICO_PER_USD, format_usd
from otel_cost.pricing.rates import RateRow
from otel_cost.pricing.result import RECEIPT_VERSION, end_of_line

_STATUS, _USD = keys.OTEL_COST_COST_STATUS, keys.OTEL_COST_COST_USD
_AMOUNT, _CURRENCY = keys.GEN_AI_USAGE_COST_AMOUNT, keys.GEN_AI_USAGE_COST_CURRENCY
_SOURCE, _CARD, _RECEIPT = keys.GEN_AI_USAGE_COST_SOURCE, keys.OTEL_COST_CARD, keys.OTEL_COST_RECEIPT
_MAX = units.MAX_QUANTITY
_EXCLUSIVE = Input.EXCLUSIVE

_COUNT, _POSITIVE = NUMBERS["count"], NUMBERS["positive"]
_PLAIN = (units.INPUT, units.CACHE_READ, units.OUTPUT, units.REASONING)
_WRITES = (units.CACHE_WRITE, units.CACHE_WRITE_5M, units.CACHE_WRITE_1H)
_COUNTED = frozenset({*_PLAIN, *_WRITES, TOTAL})

Attributes = Mapping[str, Any]
Added = dict[str, str | float]
Writes = tuple[int, int]
"""Cache-written tokens: all, and those kept for an hour."""

Rates = tuple[tuple[int, int, int, int, int, int], tuple[str, str, str, str, str, str, str]]
"""A row of the card: pico-USD per plain input, cached, written, written for an hour, output and reasoning token; and
the same as the ends of their receipt lines, with how its receipts start."""


class Recipe:
    """How spans of one shape are read: which attributes decide, which hold the counts, which the response id."""

    __slots__ = (
        *("amounts", "dialect", "has_more", "names", "plain", "plan", "response_id", "templates", "total", "writes"),
        "zeros",
    )

    def __init__(self, dialect: Dialect, plan: Plan, names: list[str], sources: Mapping[str, tuple[str, ...]]) -> None:
        first = {unit: found[0] for unit, found in sources.items()}
        self.dialect = dialect
        self.plan = plan
        self.names: Callable[[Attributes], Any] = itemgetter(*names)
        self.plain = tuple(map(first.get, _PLAIN))  # the key of each, where the shape has one
        self.writes = tuple(map(first.get, _WRITES)) if first.keys() & set(_WRITES) else None
        self.total = first.get(TOTAL)
        self.zeros = [key for unit, found in sources.items() if unit not in _COUNTED for key in found]
        self.amounts = [key for key, _ in plan.cost]  # what the emitter says that it cost; not what we write
        self.has_more = bool(self.zeros or self.amounts)
        self.response_id: str | None = plan.response_id[0][0] if plan.response_id else None
        self.templates: dict[Any, Template | None] = {}  # None: these names cannot be learned

    def is_usual(self, attributes: Attributes) -> bool:
        """Whether nothing but text tokens was used, and what was reported as cost is an amount."""
        for key in self.zeros:
            value = attributes[key]
            if type(value) is not int or value:
                return False
        for key in self.amounts:
            value = attributes[key]
            if not (type(value) is float or type(value) is int) or not 0 <= value <= MAX_USD:
                return False
        return True

    def written(self, attributes: Attributes) -> Writes | None:
        """The tokens written to the cache; None if the parts do not fit the whole."""
        whole_key, short_key, hour_key = self.writes or (None, None, None)
        short = attributes[short_key] if short_key is not None else 0
        hour = attributes[hour_key] if hour_key is not None else 0
        if not (type(short) is type(hour) is int) or short < 0 or hour < 0:
            return None
        if whole_key is None:
            return short + hour, hour
        whole = attributes[whole_key]
        return (whole, hour) if type(whole) is int and short + hour <= whole else None


def sources_of(plan: Plan) -> dict[str, tuple[str, ...]] | None:
    """Unit -> where it stands, the place that counts first; None where finding that out takes more than looking."""
    found = {unit: tuple(key for key, _ in sources) for unit, sources in plan.usage}
    for unit, sources in plan.usage:
        decided = sources[0][1] is _COUNT or (sources[0][1] is _POSITIVE and len(sources) == 1)
        if unit in _COUNTED and not decided:
            return None
    return found if found.keys() & _COUNTED else None


class Template:
    """What is the same for all spans of one shape and one set of names."""

    __slots__ = ("_counting", "_digest", "_last", "_rows", "_unpriced")

    def __init__(self, choice: Choice, counting: Input, digest: str) -> None:
        self._counting = counting
        self._digest = digest
        rows = rows_in_order(choice)
        self._rows = [
            (row.valid_from_ns, row.valid_to_ns, row.input_tokens_above, row.window, _rates(row, digest))
            for row in rows
        ]
        self._last = _rates(rows[-1], digest) if rows else None  # where none applies, as in `pick_row`
        self._unpriced: Added | None = {_STATUS: "unpriced", _CARD: digest} if choice.model is None else None

    def price(self, recipe: Recipe, at_ns: int, attributes: Attributes) -> Added | None:
        """The attributes of a span with its cost; None if its counts need the long way."""
        whole_key, cached_key, output_key, reasoning_key = recipe.plain
        whole = attributes[whole_key] if whole_key is not None else 0
        cached = attributes[cached_key] if cached_key is not None else 0
        output = attributes[output_key] if output_key is not None else 0
        reasoning = attributes[reasoning_key] if reasoning_key is not None else 0
        if not (type(whole) is type(cached) is type(output) is type(reasoning) is int):
            return None
        parts, said = cached, output - reasoning
        if (
            whole < 0
            or cached < 0
            or reasoning < 0
            or said < 0
            or (recipe.has_more and not recipe.is_usual(attributes))
        ):
            return None
        write = hour = 0
        if recipe.writes is not None:
            written = recipe.written(attributes)
            if written is None:
                return None
            write, hour = written
            parts += write
        total = None
        if recipe.total is not None:
            total = attributes[recipe.total]
            if type(total) is not int:
                return None
        if parts > whole or self._counting is _EXCLUSIVE or (total is not None and total != whole + output):
            entered = self._with_parts(whole, output, parts, reasoning, total)
            if entered is None:
                return None
            whole = entered
        if not 0 < whole + output <= _MAX:
            return None
        if self._unpriced is not None:
            return self._unpriced.copy()
        rates = self._last
        for since_ns, until_ns, above, window, of_row in self._rows:
            if since_ns <= at_ns < until_ns and whole > above and (window is None or window.contains(at_ns)):
                rates = of_row
                break
        return None if rates is None else self._added(rates, whole - parts, cached, write - hour, hour, said, reasoning)

    def _with_parts(self, whole: int, output: int, parts: int, reasoning: int, total: int | None) -> int | None:
        """The input with its parts, by the rules of `settle`; None where they change more than that."""
        counting = self._counting
        excluded = counting is _EXCLUSIVE
        if total is not None:
            if total != whole + output:
                if total != whole + output + parts or parts == reasoning or counting is Input.INCLUSIVE:
                    return None
                excluded = True
        elif parts > whole and counting is Input.UNKNOWN:
            excluded = True
        if excluded:
            return whole + parts
        return whole if parts <= whole else None

    def _added(
        self, rates: Rates, plain: int, cached: int, short: int, hour: int, said: int, reasoning: int
    ) -> Added | None:
        (plain_rate, cached_rate, short_rate, hour_rate, said_rate, reasoning_rate), texts = rates
        at_plain, at_cached, at_short, at_hour, at_said, at_reasoning, receipt = texts
        total = plain * plain_rate + cached * cached_rate + said * said_rate + reasoning * reasoning_rate
        if plain:
            receipt = f"{receipt};input_tokens={plain}{at_plain}"
        if cached:
            receipt = f"{receipt};cache_read_tokens={cached}{at_cached}"
        if short:
            total += short * short_rate
            receipt = f"{receipt};cache_write_tokens={short}{at_short}"
        if hour:
            total += hour * hour_rate
            receipt = f"{receipt};cache_write_1h_tokens={hour}{at_hour}"
        if said:
            receipt = f"{receipt};output_tokens={said}{at_said}"
        if reasoning:
            receipt = f"{receipt};output_reasoning_tokens={reasoning}{at_reasoning}"
        if not 0 < total <= MAX_COST_PICO_USD:
            return None
        return {
            _STATUS: "priced",
            _USD: format_usd(total),
            _AMOUNT: total / PICO_PER_USD,
            _CURRENCY: "USD",
            _SOURCE: "local",
            _CARD: self._digest,
            _RECEIPT: receipt,
        }


def _rates(row: RateRow, digest: str) -> Rates | None:
    """A row's rates; None if it prices anything but single text tokens."""
    if row.common is None:
        return None
    shown = [rate for leaf in units.COMMON_LEAVES if (rate := row.rate(leaf)) is not None]
    plain, cached, write, hour, output, reasoning = (
        f"*{rate.pico_usd}{end_of_line(rate.per, rate.multiplier_ppm)}" for rate in shown
    )
    texts = plain, cached, write, hour, output, reasoning, f"{RECEIPT_VERSION};{digest};{row.key}"
    return row.common[:6], texts
