"""Every attribute key of the dialect tables as a small number, with what the column reader must know of its values."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from otel_cost import attributes as k
from otel_cost.normalise.dialects import DIALECTS
from otel_cost.normalise.owners import OWNER_KEYS, RESOURCE_KEYS
from otel_cost.normalise.plan import BLOB_PATHS, COMMON_RULES, GATE, NAME_GATE, VALUE_MARKERS
from otel_cost.normalise.rules import ANY_USAGE, INSIDE, SPAN_KIND, SPAN_NAME, Dialect, Source, Test, When

GATES, NUMBER, DISCRETE, IDENTITY, PRESENCE, OWNER, BLOB = 1, 2, 4, 8, 16, 32, 64
"""Bits of a key's role.

GATES: marks a GenAI span. NUMBER: a quantity. DISCRETE: text of few distinct values that decides something.
IDENTITY: text of many values that is only passed on. PRESENCE: only whether it is there. OWNER: who pays.
BLOB: JSON with numbers inside.
"""


def _numbers(dialect: Dialect) -> Iterator[Source]:
    for sources in dialect.usage.values():
        yield from sources
    yield from dialect.cost


def _discrete(dialect: Dialect) -> Iterator[Source]:
    for sources in (
        *(dialect.operation, dialect.provider, dialect.request_model, dialect.response_model),
        *(dialect.service_tier, dialect.host, dialect.cache_hit),
    ):
        yield from sources


def conditions(dialect: Dialect) -> Iterator[When]:
    """All conditions of a dialect's table and of the rules common to all."""
    for rule in (*COMMON_RULES, *dialect.rules):
        yield from rule.when
    for row in dialect.accounting:
        yield from row.when


def _roles() -> dict[str, int]:
    roles: dict[str, int] = {}

    def add(key: str, role: int) -> None:
        if key not in (SPAN_NAME, SPAN_KIND, ANY_USAGE):
            roles[key] = roles.get(key, 0) | role

    for key in GATE:
        add(key, GATES | PRESENCE)
    for key in (k.ERROR_TYPE, k.GEN_AI_USAGE_COST_CURRENCY, k.GEN_AI_USAGE_COST_SOURCE):
        add(key, DISCRETE)
    for key, _value, _dialect in VALUE_MARKERS:
        add(key, DISCRETE)
    for dialect in DIALECTS:
        for source in _numbers(dialect):
            add(source.key, NUMBER)
        for source in _discrete(dialect):
            add(source.key, DISCRETE)
        for source in dialect.response_id:
            add(source.key, IDENTITY)
        for when in conditions(dialect):
            add(when.subject, PRESENCE if when.test in (Test.PRESENT, Test.ABSENT) else DISCRETE)
        for rule in dialect.rules:
            for key in rule.agent:
                add(key, OWNER)
        for key in dialect.blobs:
            add(key, BLOB)
    for keys in (*OWNER_KEYS.values(), *RESOURCE_KEYS.values()):
        for key in keys:
            add(key, OWNER)
    return roles


KEY_ROLES = _roles()
KEYS = tuple(KEY_ROLES)
KEY_IDS = {key: number for number, key in enumerate(KEYS)}
ESSENTIAL_KEYS = frozenset(key.partition(INSIDE)[0] for key in KEYS)
"""Attribute keys that any table reads: a cap on attributes must never cost one of these."""

ROLES = np.array(list(KEY_ROLES.values()), dtype=np.uint8)
NUMBER_TRANSFORMS = {source.key: source.transform for dialect in DIALECTS for source in _numbers(dialect)}
BLOB_READERS = {key: reader for dialect in DIALECTS for key, reader in dialect.blobs.items()}
BLOB_TARGETS = {
    key: tuple((path, KEY_IDS[f"{key}{INSIDE}{path}"]) for path in paths) for key, paths in BLOB_PATHS.items()
}

_NAME_CONDITIONS = tuple({when for dialect in DIALECTS for when in conditions(dialect) if when.subject == SPAN_NAME})
_NAMES = frozenset(value for when in _NAME_CONDITIONS if when.test is Test.IN for value in when.values)
_NAME_STARTS = NAME_GATE + tuple(v for when in _NAME_CONDITIONS if when.test is Test.STARTS for v in when.values)
_NAME_ENDS = tuple(v for when in _NAME_CONDITIONS if when.test is Test.ENDS for v in when.values)


def name_matters(name: str) -> bool:
    """Whether any table asks for this span name; all others are alike."""
    bare = name.strip('"')  # quoted names are read without their quotes
    return (
        bare.strip().lower() in _NAMES or bare.startswith(_NAME_STARTS) or bare.endswith(_NAME_ENDS) or name[:1] == '"'
    )
