"""The short way for spans that repeat: same shape, same names, other numbers.

An app's model calls have a handful of shapes (scope, kind, set of attribute keys) and names (model, provider, tier).
What normalising and pricing made of the first such span is kept as a `Template`; for the next ones only the token
counts are read and multiplied. Same results as the long way at a fifth of its time: a span that could come out
differently (other arithmetic, other units, anything unusual) is never learned, or its numbers are refused (None).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from otel_cost import attributes as keys
from otel_cost.call import Call, CallKind
from otel_cost.normalise.plan import NAME_GATE, VALUE_MARKERS, Plan, dialect_of, plan_for
from otel_cost.normalise.reader import read
from otel_cost.normalise.rules import Dialect, Input
from otel_cost.normalise.transforms import NUMBERS
from otel_cost.pricing import RateCard, units
from otel_cost.pricing.card import RateRow, choose
from otel_cost.pricing.cost import Choice, remembered_choice
from otel_cost.pricing.money import MAX_COST_PICO_USD, PICO_PER_USD
from otel_cost.pricing.result import RECEIPT_VERSION

MAX_SHAPES = 1024
MAX_NAMES_PER_SHAPE = 256
"""Bounds of what is learned, for emitters that invent keys or names; beyond them it is learned anew."""

_UNITS = (units.INPUT, units.CACHE_READ, units.OUTPUT, units.REASONING)
_COUNTS = (NUMBERS["count"], NUMBERS["positive"])
_COST_KEYS = frozenset({keys.GEN_AI_USAGE_COST_AMOUNT, keys.GEN_AI_USAGE_COST_CURRENCY, keys.GEN_AI_USAGE_COST_SOURCE})

_QUOTE = '"'  # a text in JSON goes the long way
_STATUS, _USD = keys.OTEL_COST_COST_STATUS, keys.OTEL_COST_COST_USD
_AMOUNT, _CURRENCY = keys.GEN_AI_USAGE_COST_AMOUNT, keys.GEN_AI_USAGE_COST_CURRENCY
_SOURCE, _CARD, _RECEIPT = keys.GEN_AI_USAGE_COST_SOURCE, keys.OTEL_COST_CARD, keys.OTEL_COST_RECEIPT

Attributes = Mapping[str, Any]
Shape = tuple[str, int, int, tuple[str, ...]]


Rates = tuple[int, int, int, int, str, str, str, str, str]
"""One row of the card: pico-USD per plain input, cached, output and reasoning token, and the same as the ends of their
receipt lines; and how its receipts start."""

# Plain classes here: a dataclass or NamedTuple costs a millisecond of the app's start-up each.


class Template:
    """What is the same for all spans of one shape and one set of names."""

    __slots__ = ("_by_row", "_choice", "_digest", "_fixed")

    def __init__(self, choice: Choice, digest: str) -> None:
        self._choice = choice
        self._digest = digest
        self._fixed = None if choice.only is None else _rates(choice.only, digest)  # one row prices every call
        self._by_row: dict[str, Rates | None] = {}  # else rows as they are met

    def attributes(
        self, at_ns: int, whole: Any, cached: Any, output: Any, reasoning: Any
    ) -> dict[str, str | float] | None:
        """The attributes of a priced span; None if these counts need the long way."""
        if not (type(whole) is type(cached) is type(output) is type(reasoning) is int):
            return None
        plain, said = whole - cached, output - reasoning
        if cached < 0 or reasoning < 0 or plain < 0 or said < 0 or whole + output > units.MAX_QUANTITY:
            return None
        rates = self._fixed or self._rates_for(at_ns, whole)
        if rates is None:
            return None
        plain_rate, cached_rate, said_rate, reasoning_rate, at_plain, at_cached, at_said, at_reasoning, receipt = rates
        total = plain * plain_rate + cached * cached_rate + said * said_rate + reasoning * reasoning_rate
        if not 0 < total <= MAX_COST_PICO_USD:
            return None
        if plain:
            receipt = f"{receipt};input_tokens={plain}{at_plain}"
        if cached:
            receipt = f"{receipt};cache_read_tokens={cached}{at_cached}"
        if said:
            receipt = f"{receipt};output_tokens={said}{at_said}"
        if reasoning:
            receipt = f"{receipt};output_reasoning_tokens={reasoning}{at_reasoning}"
        dollars, rest = divmod(total, PICO_PER_USD)
        return {
            _STATUS: "priced",
            _USD: f"{dollars}.{rest:012d}".rstrip("0") if rest else str(dollars),
            _AMOUNT: total / PICO_PER_USD,
            _CURRENCY: "USD",
            _SOURCE: "local",
            _CARD: self._digest,
            _RECEIPT: receipt,
        }

    def _rates_for(self, at_ns: int, whole: int) -> Rates | None:
        model = self._choice.model
        row = choose(self._choice.rows, at_ns, whole) if model and at_ns >= model.first_price_ns else None
        if row is None:
            return None
        try:
            return self._by_row[row.key]
        except KeyError:
            found = self._by_row[row.key] = _rates(row, self._digest)
            return found


def _rates(row: RateRow, digest: str) -> Rates | None:
    """A row's rates; None if it prices anything but single text tokens."""
    found = [row.rate(unit) for unit in _UNITS]
    if row.common is None or any(rate is None or rate.per != 1 for rate in found):
        return None
    plain, cached, output, reasoning = (rate.pico_usd for rate in found if rate is not None)
    texts = (f"*{plain}", f"*{cached}", f"*{output}", f"*{reasoning}", f"{RECEIPT_VERSION};{digest};{row.key}")
    return (plain, cached, output, reasoning, *texts)


class Recipe:
    """How spans of one shape are read: which attributes decide, which hold the counts, which the response id."""

    __slots__ = ("counts", "dialect", "names", "plan", "response_id", "templates")

    def __init__(self, dialect: Dialect, plan: Plan, names: list[str], counts: Mapping[str, str]) -> None:
        self.dialect = dialect
        self.plan = plan
        self.names: Callable[[Attributes], Any] = itemgetter(*names)
        self.counts = tuple(map(counts.get, _UNITS))  # a key per unit
        self.response_id: str | None = plan.response_id[0][0] if plan.response_id else None
        self.templates: dict[Any, Template | None] = {}  # None: these names cannot be learned


Priced = tuple[str | None, dict[str, str | float]]
"""The response id, and the attributes to add."""


class Shortcuts:
    """What was learned from earlier spans. Safe to share between threads: an entry is complete when it is added."""

    def __init__(self, card: RateCard) -> None:
        self._card = card
        self._recipes: dict[Shape, Recipe | None] = {}  # None: the shape cannot be learned

    def price(self, shape: Shape, span_name: str, at_ns: int, attributes: Attributes) -> Priced | None:
        """The attributes to add and the response id; None if the long way must be gone."""
        recipe = self._recipes.get(shape)
        if recipe is None:
            return None
        try:
            template = recipe.templates.get((span_name, recipe.names(attributes)))
        except TypeError:  # a value that cannot be hashed is no name
            return None
        if template is None:
            return None
        response_id = None
        if recipe.response_id is not None:
            response_id = attributes[recipe.response_id]
            if type(response_id) is not str or not response_id or response_id[0] == _QUOTE:
                return None
        whole, cached, output, reasoning = recipe.counts
        added = template.attributes(
            at_ns,
            attributes[whole] if whole is not None else 0,
            attributes[cached] if cached is not None else 0,
            attributes[output] if output is not None else 0,
            attributes[reasoning] if reasoning is not None else 0,
        )
        return None if added is None else (response_id, added)

    def learn(
        self,
        shape: Shape,
        span_name: str,
        at_ns: int,
        attributes: Attributes,
        call: Call,
        priced: dict[str, str | float],
    ) -> None:
        """Keep what the long way made of a span, if the short way makes the same of it."""
        usual = call.kind is CallKind.LEAF and not call.flags and call.reported_cost_pico_usd is None
        if not usual or span_name.startswith(NAME_GATE) or not _COST_KEYS.isdisjoint(attributes):
            return
        if shape not in self._recipes:
            if len(self._recipes) >= MAX_SHAPES:
                self._recipes.clear()
            self._recipes[shape] = _recipe(shape, span_name, attributes)
        recipe = self._recipes[shape]
        if recipe is None:
            return
        name = recipe.names(attributes)
        if (span_name, name) in recipe.templates:
            return
        if len(recipe.templates) >= MAX_NAMES_PER_SHAPE:
            recipe.templates.clear()
        recipe.templates[span_name, name] = self._template(recipe, shape, span_name, attributes, name, call)
        if self.price(shape, span_name, at_ns, attributes) != (call.response_id, priced):
            recipe.templates[span_name, name] = None

    def _template(
        self, recipe: Recipe, shape: Shape, span_name: str, attributes: Attributes, name: Any, call: Call
    ) -> Template | None:
        """None where these names have arithmetic that could change plain counts, or prices that are not per token."""
        scope_name, span_kind, status_code, _ = shape
        texts_only = all(type(value) is str for value in (name if type(name) is tuple else (name,)))
        if not texts_only or dialect_of(scope_name, span_name, attributes) is not recipe.dialect:
            return None
        reading = read(recipe.plan, span_name, span_kind, status_code, attributes)
        if reading.counting is not Input.INCLUSIVE and reading.counting is not Input.UNKNOWN:
            return None
        choice = remembered_choice(
            self._card, call.provider, call.request_model, call.response_model, call.service_tier
        )
        if choice.model is None or choice.flags or choice.model.minimums:
            return None
        return Template(choice, self._card.digest)


def _recipe(shape: Shape, span_name: str, attributes: Attributes) -> Recipe | None:
    """How to read spans of a shape; None where a count has several sources, or there are others than plain ones."""
    scope_name, _, _, present = shape
    dialect = dialect_of(scope_name, span_name, attributes)
    plan = plan_for(dialect, frozenset(present))
    if plan.cost or plan.cache_hit or len(plan.response_id) > 1 or not dialect.blobs.keys().isdisjoint(present):
        return None
    sources: dict[str, str] = {}
    for unit, found in plan.usage:
        if unit not in _UNITS or len(found) != 1 or found[0][1] not in _COUNTS:
            return None
        sources[unit] = found[0][0]
    names = _deciding(plan, present)
    return Recipe(dialect, plan, names, sources) if names and sources else None


def _deciding(plan: Plan, present: tuple[str, ...]) -> list[str]:
    """Every attribute whose value decides anything but counts, response id and owners."""
    rows = (plan.operation, plan.provider, plan.request_model, plan.response_model, plan.service_tier, plan.host)
    found = {source[0] for row in rows for source in row}
    found |= {when.subject for rule in plan.rules for when in rule.when}
    found |= {when.subject for _, _, conditions in plan.accounting for when in conditions}
    found |= {key for key, _, _ in VALUE_MARKERS} | {keys.TELEMETRY_SDK_NAME, keys.ERROR_TYPE}
    return [key for key in present if key in found]
