"""The dialect tables themselves: what they name exists, and the two readers can read all of it."""

from __future__ import annotations

import pytest

from collector.normalise.keys import BLOB_TARGETS, DISCRETE, KEY_ROLES, NUMBER, NUMBER_TRANSFORMS
from otel_cost.call import DIMENSIONS
from otel_cost.normalise.dialects import DIALECTS
from otel_cost.normalise.owners import OWNER_KEYS
from otel_cost.normalise.plan import BLOB_PATHS, GATE
from otel_cost.normalise.rules import INSIDE, TOTAL, Dialect, Test
from otel_cost.normalise.transforms import BLOBS, NUMBERS, TEXTS, host
from otel_cost.pricing import units

BY_NAME = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def test_names_and_scopes_are_distinct() -> None:
    """No two dialects share a name, a scope or a scope prefix."""
    for values in (
        [dialect.name for dialect in DIALECTS],
        [scope for dialect in DIALECTS for scope in dialect.scopes],
        [prefix for dialect in DIALECTS for prefix in dialect.scope_prefixes],
    ):
        assert len(set(values)) == len(values)


@BY_NAME
def test_transforms_exist(dialect: Dialect) -> None:
    """Every named transform is in the closed set, of the right sort."""
    texts = (dialect.operation, dialect.provider, dialect.request_model, dialect.response_model, dialect.response_id)
    for row in (*texts, dialect.service_tier, dialect.host, dialect.cache_hit):
        assert all(source.transform in TEXTS for source in row)
    for row in (*dialect.usage.values(), dialect.cost):
        assert all(source.transform in NUMBERS for source in row)
    assert all(reader in BLOBS for reader in dialect.blobs.values())
    assert {source.transform for source in dialect.response_id} <= {
        "text"
    }  # the column reader passes ids on as they are


@BY_NAME
def test_usage_is_in_known_units(dialect: Dialect) -> None:
    """Quantities are billable units (or the emitter's total)."""
    assert set(dialect.usage) - {TOTAL} <= set(units.UNITS)


@BY_NAME
def test_numbers_inside_json_belong_to_a_json_attribute(dialect: Dialect) -> None:
    """A virtual key's attribute is parsed by its dialect, and its path is among those that columns expand."""
    for row in (*dialect.usage.values(), dialect.cost):
        for source in row:
            key, separator, path = source.key.partition(INSIDE)
            if separator:
                assert key in dialect.blobs
                assert path in BLOB_PATHS[key]
                assert path in [path for path, _ in BLOB_TARGETS[key]]


@BY_NAME
def test_conditions_compare_with_lower_case_words(dialect: Dialect) -> None:
    """IN compares lower-cased text, so a word with capitals would never be met."""
    for rule in dialect.rules:
        for when in rule.when:
            if when.test is Test.IN:
                assert [value for value in when.values if value != value.lower()] == []


def test_a_key_is_read_in_one_way() -> None:
    """The column reader keeps one number per key, so a key has one numeric transform and is not text as well."""
    for dialect in DIALECTS:
        for row in (*dialect.usage.values(), dialect.cost):
            for source in row:
                assert NUMBER_TRANSFORMS[source.key] == source.transform
    assert [key for key, role in KEY_ROLES.items() if role & NUMBER and role & DISCRETE] == []


def test_owner_tables_cover_every_dimension() -> None:
    """One row per dimension, in order, our own key first, no key in two rows."""
    assert tuple(OWNER_KEYS) == DIMENSIONS
    assert all(keys[0] == f"otel_cost.{dimension}" for dimension, keys in OWNER_KEYS.items())
    keys = [key for row in OWNER_KEYS.values() for key in row]
    assert len(set(keys)) == len(keys)


def test_owner_keys_alone_do_not_make_a_span_gen_ai() -> None:
    """Owner keys travel on every span of an app."""
    assert {key for row in OWNER_KEYS.values() for key in row} & GATE == set()


@pytest.mark.parametrize(
    "said",
    ["api.groq.com", "api.groq.com:443", "https://api.groq.com/openai/v1", "HTTPS://API.GROQ.COM:8443/openai/v1"],
)
def test_a_host_names_its_provider_in_every_form(said: str) -> None:
    """`server.address` is a bare name by convention; instrumentations also put URLs and ports there."""
    assert host(said) == "groq"
