"""Attribute keys: one constant each, distinct, and the tables use nothing else."""

from __future__ import annotations

from collector.normalise.keys import KEYS
from otel_cost import attributes
from otel_cost.call import DIMENSIONS
from otel_cost.normalise.rules import INSIDE

CONSTANTS = {name: value for name, value in vars(attributes).items() if name.isupper()}


def test_every_key_is_written_once() -> None:
    """No two constants share a key."""
    assert len(set(CONSTANTS.values())) == len(CONSTANTS)
    assert all(isinstance(value, str) and value for value in CONSTANTS.values())


def test_tables_name_constants_only() -> None:
    """Every key that a table reads is a constant (or a quantity or a token's tag, under our own prefixes)."""
    known = set(CONSTANTS.values())
    unknown = {key.partition(INSIDE)[0] for key in KEYS} - known
    prefixes = (attributes.OTEL_COST_USAGE_PREFIX, attributes.OTEL_COST_TOKEN_PREFIX)
    assert {key for key in unknown if not key.startswith(prefixes)} == set()


def test_every_owner_dimension_has_a_key_of_ours() -> None:
    """`otel_cost.<dimension>` exists for each dimension."""
    for dimension in DIMENSIONS:
        assert CONSTANTS[f"OTEL_COST_{dimension.upper()}"] == f"otel_cost.{dimension}"
