"""Which dialect a span speaks, and its table cut down to the keys that are on the span.

Spans of one emitter have few shapes (sets of keys), so a plan is built once per shape: what is known from the keys
alone is decided here, and only questions about values are left for each span.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from otel_cost import attributes as k
from otel_cost.call import CallKind
from otel_cost.normalise.dialects import DIALECTS
from otel_cost.normalise.dialects.generic import GENERIC
from otel_cost.normalise.dialects.wire import WIRE_ENRICHED
from otel_cost.normalise.owners import OWNER_KEYS
from otel_cost.normalise.rules import (
    ANY_USAGE,
    INSIDE,
    SPAN_KIND,
    SPAN_NAME,
    Dialect,
    Input,
    Rule,
    Test,
    When,
    ignore,
    is_in,
)
from otel_cost.normalise.transforms import BLOBS, NUMBERS, TEXTS, Number

COMMON_RULES = (ignore(is_in(k.LOGFIRE_SPAN_TYPE, "pending_span")),)
"""Logfire announces every span of every scope by a pending copy of it."""

GATE = frozenset(key for dialect in DIALECTS for key in dialect.markers)
"""A span without any of these keys is no GenAI span (names of `NAME_GATE` excepted)."""

NAME_GATE = tuple(prefix for dialect in DIALECTS for prefix in dialect.name_prefixes)
VALUE_MARKERS = tuple((key, value, dialect) for dialect in DIALECTS for key, value in dialect.marker_values)

_SCOPES = {scope: dialect for dialect in DIALECTS for scope in dialect.scopes}
_PREFIXES = sorted(
    ((prefix, dialect) for dialect in DIALECTS for prefix in dialect.scope_prefixes),
    key=lambda row: -len(row[0]),
)

TextReader = Callable[[object], str | None]
TextSources = tuple[tuple[str, TextReader, dict[str, str | None]], ...]
"""Key, transform, and what the transform said of values seen before (see `remember`)."""
NumberSources = tuple[tuple[str, Callable[[object], Number]], ...]
Conditions = tuple[When, ...]


def dialect_of(scope_name: str, span_name: str, attributes: Mapping[str, object]) -> Dialect:
    """The dialect of a span that passed the gate. What we wrote on another's span goes before what it says itself."""
    if k.OTEL_COST_WIRE in attributes:
        return WIRE_ENRICHED
    if scope_name in _SCOPES:
        return _SCOPES[scope_name]
    for prefix, dialect in _PREFIXES:
        if scope_name.startswith(prefix):
            return dialect
    for dialect in DIALECTS:
        if dialect.name_prefixes and span_name.startswith(dialect.name_prefixes):
            return dialect
    for key, value, dialect in VALUE_MARKERS:
        if attributes.get(key) == value:
            return dialect
    for dialect in DIALECTS:
        if any(marker in attributes for marker in dialect.markers):
            return dialect
    return GENERIC


class PlannedRule(NamedTuple):
    """A rule whose conditions on keys hold; `when` are those on values."""

    kind: CallKind
    operation: str | None
    agent: tuple[str, ...]
    when: Conditions


class Plan(NamedTuple):
    """A dialect's table for spans with one set of keys."""

    dialect: Dialect
    switch: tuple[str, Mapping[str, PlannedRule]] | None
    """The first rules, where each asks only for the words of one attribute: that attribute, and word -> rule."""
    rules: tuple[PlannedRule, ...]
    operation: TextSources
    provider: TextSources
    request_model: TextSources
    response_model: TextSources
    response_id: TextSources
    service_tier: TextSources
    host: TextSources
    cache_hit: TextSources
    usage: tuple[tuple[str, NumberSources], ...]
    cost: NumberSources
    accounting: tuple[tuple[Input, frozenset[str], Conditions], ...]
    owners: tuple[tuple[str, tuple[str, ...]], ...]
    error: bool


def blobs_of(
    dialect: Dialect, keys: Iterable[str]
) -> tuple[tuple[str, Callable[[object], Mapping[str, object]], tuple[str, ...]], ...]:
    """The JSON attributes among `keys` that the dialect reads: key, parser, wanted paths."""
    return tuple((key, BLOBS[dialect.blobs[key]], BLOB_PATHS[key]) for key in keys if key in dialect.blobs)


def _paths() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for dialect in DIALECTS:
        sources = [source for row in dialect.usage.values() for source in row] + list(dialect.cost)
        for source in sources:
            key, separator, path = source.key.partition(INSIDE)
            if separator:
                found.setdefault(key, {})[path] = None
    return {key: tuple(paths) for key, paths in found.items()}


BLOB_PATHS = _paths()
"""Every JSON attribute of the tables and the paths that are read in it."""


COST, OWNERS = "#cost", "#owners "
TEXT_FIELDS = (
    *("operation", "provider", "request_model", "response_model", "response_id", "service_tier", "host", "cache_hit"),
)
MAX_REMEMBERED = 2_048
MAX_REMEMBERED_CHARACTERS = 128
_seen: dict[str, dict[str, str | None]] = {name: {} for name in TEXTS}

Slot = tuple[str, int, tuple[object, ...]]
"""What a key is to a dialect: the field (a unit, a text field, `cost`), its precedence there, the entry of the plan."""


@cache
def _slots(dialect: Dialect) -> Mapping[str, tuple[Slot, ...]]:
    """The table turned round: key -> what it is read for."""
    slots: dict[str, list[Slot]] = {}
    for field, sources in (*dialect.usage.items(), (COST, dialect.cost)):
        for order, source in enumerate(sources):
            slots.setdefault(source.key, []).append((field, order, (source.key, NUMBERS[source.transform])))
    for field in TEXT_FIELDS:
        for order, source in enumerate(getattr(dialect, field)):
            entry = (source.key, TEXTS[source.transform], _seen[source.transform])
            slots.setdefault(source.key, []).append((field, order, entry))
    for dimension, keys in OWNER_KEYS.items():
        for order, key in enumerate(keys):
            slots.setdefault(key, []).append((OWNERS + dimension, order, (key,)))
    return {key: tuple(rows) for key, rows in slots.items()}


def plan_for(dialect: Dialect, keys: frozenset[str]) -> Plan:
    """The dialect's table for spans that have exactly these keys (virtual keys of JSON attributes included)."""
    slots = _slots(dialect)
    found: dict[str, Any] = {}
    for key in slots.keys() & keys:
        for field, order, entry in slots[key]:
            found.setdefault(field, []).append((order, entry))
    found = {
        field: tuple(entry for _, entry in sorted(rows)) if len(rows) > 1 else (rows[0][1],)
        for field, rows in found.items()
    }
    usage = tuple((unit, found[unit]) for unit in dialect.usage if unit in found)
    any_usage = bool(usage)
    switch, rules = _switch(_rules((*COMMON_RULES, *dialect.rules), keys, any_usage))
    return Plan(
        dialect=dialect,
        switch=switch,
        rules=rules,
        usage=usage,
        cost=found.get(COST, ()),
        accounting=tuple(
            (row.counting, row.providers, when)
            for row in dialect.accounting
            if (when := _remaining(row.when, keys, any_usage)) is not None
        ),
        owners=tuple(
            (dimension, tuple(key for (key,) in found[OWNERS + dimension]))
            for dimension in OWNER_KEYS
            if OWNERS + dimension in found
        ),
        error=k.ERROR_TYPE in keys,
        **{field: found.get(field, ()) for field in TEXT_FIELDS},
    )


def remember(seen: dict[str, str | None], value: str, said: str | None) -> None:
    """Keeps a transform's answer: apps repeat few models, providers and tiers. Bounded in number and length."""
    if len(value) <= MAX_REMEMBERED_CHARACTERS:
        if len(seen) >= MAX_REMEMBERED:
            seen.clear()
        seen[value] = said


def _rules(rules: tuple[Rule, ...], keys: frozenset[str], any_usage: bool) -> tuple[PlannedRule, ...]:
    planned = []
    for rule in rules:
        when = _remaining(rule.when, keys, any_usage)
        if when is not None:
            planned.append(PlannedRule(rule.kind, rule.operation, rule.agent, when))
            if not when:
                break  # nothing after a rule that always holds is reached
    return tuple(planned)


def _switch(
    rules: tuple[PlannedRule, ...],
) -> tuple[tuple[str, Mapping[str, PlannedRule]] | None, tuple[PlannedRule, ...]]:
    """The leading rules on the words of one attribute as a lookup, and the rules after them."""
    words: dict[str, PlannedRule] = {}
    subject = rules[0].when[0].subject if rules and rules[0].when else SPAN_NAME
    for index, rule in enumerate(rules):
        alone = len(rule.when) == 1 and rule.when[0].test is Test.IN and rule.when[0].subject == subject
        if not alone or subject in (SPAN_NAME, SPAN_KIND):
            return ((subject, words) if words else None), rules[index:]
        for word in rule.when[0].values:
            words.setdefault(word, rule)
    return ((subject, words) if words else None), ()


def _remaining(when: Conditions, keys: frozenset[str], any_usage: bool) -> Conditions | None:
    """The conditions on values, or None when a condition on keys fails."""
    left = []
    for condition in when:
        present = any_usage if condition.subject == ANY_USAGE else condition.subject in keys
        if condition.subject in (SPAN_NAME, SPAN_KIND):
            left.append(condition)
        elif condition.test is Test.ABSENT:
            if present:
                return None
        elif not present:
            return None
        elif condition.test is not Test.PRESENT:
            left.append(condition)
    return tuple(left)
