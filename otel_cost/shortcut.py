"""The short way for spans that repeat: same shape, same names, other numbers.

An app's model calls have a handful of shapes (scope, kind, set of attribute keys) and names (model, provider, tier).
What normalising and pricing made of the first such span is kept as a `Template`; for the next ones only the token
counts are read and multiplied. Same results as the long way at a tenth of its time: a span that could come out
differently (other units, unusual arithmetic, a cost that the provider reported) is never learned, or its numbers are
refused (None).
"""

from __future__ import annotations

from typing import Any

from otel_cost import attributes as keys
from otel_cost.call import Call, CallKind, Flag
from otel_cost.normalise.plan import NAME_GATE, VALUE_MARKERS, Plan, dialect_of, plan_for
from otel_cost.normalise.reader import read
from otel_cost.normalise.rules import Input
from otel_cost.pricing import RateCard
from otel_cost.pricing.choice import remembered_choice
from otel_cost.template import Added, Attributes, Priced, Recipe, Template, sources_of

MAX_SHAPES = 1024
MAX_NAMES_PER_SHAPE = 256
"""Bounds of what is learned, for emitters that invent keys or names; beyond them it is learned anew."""

_COST_KEYS = frozenset({keys.GEN_AI_USAGE_COST_AMOUNT, keys.GEN_AI_USAGE_COST_CURRENCY, keys.GEN_AI_USAGE_COST_SOURCE})
_OTHER_DECIDING = frozenset({*(key for key, _, _ in VALUE_MARKERS), keys.TELEMETRY_SDK_NAME, keys.ERROR_TYPE})
_WITHOUT_EFFECT = Flag.CACHE_EXCLUSIVE | Flag.TTL_ASSUMED
"""Flags of a call that change neither its price nor what is written of it."""

Shape = tuple[str, int, int, tuple[str, ...]]


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
        return None if template is None else template(attributes, at_ns)

    def learn(
        self,
        shape: Shape,
        span_name: str,
        at_ns: int,
        attributes: Attributes,
        call: Call,
        priced: Added,
    ) -> None:
        """Keep what the long way made of a span, if the short way makes the same of it."""
        usual = call.kind is CallKind.LEAF and not call.flags & ~_WITHOUT_EFFECT and not call.reported_by_provider
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
        if self.price(shape, span_name, at_ns, attributes) not in (None, (call.response_id, priced)):
            recipe.templates[span_name, name] = None

    def _template(
        self, recipe: Recipe, shape: Shape, span_name: str, attributes: Attributes, name: Any, call: Call
    ) -> Template | None:
        """None where these names have arithmetic that could change plain counts, or prices of other things than the
        tokens at the start."""
        scope_name, span_kind, status_code, _ = shape
        texts_only = all(type(value) is str for value in (name if type(name) is tuple else (name,)))
        if not texts_only or dialect_of(scope_name, span_name, attributes) is not recipe.dialect:
            return None
        reading = read(recipe.plan, span_name, span_kind, status_code, attributes)
        if reading.counting is Input.DISJOINT or reading.cache_hit:
            return None
        choice = remembered_choice(
            self._card, call.provider, call.request_model, call.response_model, call.service_tier
        )
        model = choice.model
        if model is not None and (model.minimums or model.bills is not None or model.billed_at_end):
            return None
        return recipe.template(choice, reading.counting, self._card.digest)


def _recipe(shape: Shape, span_name: str, attributes: Attributes) -> Recipe | None:
    """How to read spans of a shape; None where a count has several sources, or there are others than plain ones."""
    scope_name, _, _, present = shape
    dialect = dialect_of(scope_name, span_name, attributes)
    plan = plan_for(dialect, frozenset(present))
    reported = bool(plan.cost) and dialect.cost_by_provider
    if reported or len(plan.response_id) > 1 or not dialect.blobs.keys().isdisjoint(present):
        return None
    sources = sources_of(plan)
    names = _deciding(plan, present)
    return Recipe(dialect, plan, names, sources) if names and sources else None


def _deciding(plan: Plan, present: tuple[str, ...]) -> list[str]:
    """Every attribute whose value decides anything but counts, response id and owners."""
    rows = (plan.operation, plan.provider, plan.request_model, plan.response_model, plan.service_tier, plan.host)
    found = {source[0] for row in (*rows, plan.cache_hit) for source in row} | _OTHER_DECIDING
    found |= {when.subject for rule in plan.rules for when in rule.when}
    found |= {when.subject for _, _, conditions in plan.accounting for when in conditions}
    if plan.switch is not None:
        found.add(plan.switch[0])
    return [key for key in present if key in found]
