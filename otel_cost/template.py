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
from otel_cost.normalise.transforms import NUMBERS
from otel_cost.pricing import units
from otel_cost.pricing.choice import Choice, rows_in_order
from otel_cost.pricing.rates import RateRow
from otel_cost.pricing.result import RECEIPT_VERSION, end_of_line
from otel_cost.template_source import AMOUNT, PLAIN, RESPONSE_ID, WRITES, ZERO, maker
from otel_cost.template_source import TOTAL as TOTAL_NAME

_COUNT, _POSITIVE = NUMBERS["count"], NUMBERS["positive"]
_NAMES = {
    **dict(zip((units.INPUT, units.CACHE_READ, units.OUTPUT, units.REASONING), PLAIN, strict=True)),
    **dict(zip((units.CACHE_WRITE, units.CACHE_WRITE_5M, units.CACHE_WRITE_1H), WRITES, strict=True)),
    TOTAL: TOTAL_NAME,
}
"""Unit -> its count in the arithmetic."""

Attributes = Mapping[str, Any]
Added = dict[str, str | float]
Priced = tuple[str | None, Added]
"""The response id, and the attributes to add."""
Template = Callable[[Attributes, int], Priced | None]
"""What is the same for all spans of one shape and one set of names: prices one, by its attributes and its start. None
if its counts need the long way."""

Rates = tuple[tuple[int, int, int, int, int, int], tuple[str, str, str, str, str, str, str]]
"""A row of the card: pico-USD per plain input, cached, written, written for an hour, output and reasoning token; and
the same as the ends of their receipt lines, with how its receipts start."""


class Recipe:
    """How spans of one shape are read: which attributes decide, and which hold the counts, the response id, what must
    be zero, and what the emitter says that it cost."""

    __slots__ = ("_read", "_take", "dialect", "names", "plan", "templates")

    def __init__(self, dialect: Dialect, plan: Plan, names: list[str], sources: Mapping[str, tuple[str, ...]]) -> None:
        self.dialect = dialect
        self.plan = plan
        self.names: Callable[[Attributes], Any] = itemgetter(*names)
        self.templates: dict[Any, Template | None] = {}  # None: these names cannot be learned
        others = [key for unit, found in sources.items() if unit not in _NAMES for key in found]
        read = {RESPONSE_ID: plan.response_id[0][0]} if plan.response_id else {}
        read |= {name: sources[unit][0] for unit, name in _NAMES.items() if unit in sources}
        read |= {f"{ZERO}{number}": key for number, key in enumerate(others)}
        read |= {f"{AMOUNT}{number}": key for number, (key, _) in enumerate(plan.cost)}
        self._read = tuple(read)
        where = list(read.values())
        self._take = itemgetter(*where) if len(where) > 1 else _alone(where[0])

    def template(self, choice: Choice, counting: Input, digest: str) -> Template | None:
        """For spans with names by which this is chosen; None where its prices are of other things than tokens."""
        rows = [
            (row.valid_from_ns, row.valid_to_ns, row.input_tokens_above, row.window, _rates(row, digest))
            for row in rows_in_order(choice)
        ]
        is_priced = choice.model is not None
        last = rows[-1][-1] if rows else None  # where none applies, as in `pick_row`
        has_rows = len(rows) > 1
        if is_priced and not has_rows and last is None:
            return None
        unpriced: Added = {keys.OTEL_COST_COST_STATUS: "unpriced", keys.OTEL_COST_CARD: digest}
        made: Template = maker(self._read, counting, has_rows, is_priced)(self._take, rows, last, unpriced, digest)
        return made


def _alone(key: str) -> Callable[[Attributes], tuple[Any]]:
    """Python's own taker gives no tuple of a single value."""
    return lambda attributes: (attributes[key],)


def sources_of(plan: Plan) -> dict[str, tuple[str, ...]] | None:
    """Unit -> where it stands, the place that counts first; None where finding that out takes more than looking."""
    found = {unit: tuple(key for key, _ in sources) for unit, sources in plan.usage}
    for unit, sources in plan.usage:
        decided = sources[0][1] is _COUNT or (sources[0][1] is _POSITIVE and len(sources) == 1)
        if unit in _NAMES and not decided:
            return None
    return found if found.keys() & _NAMES.keys() else None


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
