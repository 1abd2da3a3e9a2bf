"""Attributes by which budgets count are read as reports by attribute read them."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.decode.columns import MARKS
from collector.store.attribute_values import MAX_VALUE_BYTES, attribute_column
from otel_cost.call import ATTRIBUTE

KEYS = st.sampled_from(["a", "region", "otel_cost.tag.region", "aregion", "region.b"])
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(['region":"x', "{", '\\"region\\":1', "null", ":{"]))
SCALARS = st.one_of(TEXTS, st.integers(-(2**53), 2**53), st.booleans(), st.none())
OBJECTS = st.dictionaries(KEYS, st.one_of(SCALARS, SCALARS, st.dictionaries(KEYS, SCALARS, max_size=2)), max_size=4)
SQL = """
SELECT coalesce(
    json_extract_string($attributes, $key), json_extract_string($attributes, $tag), json_extract_string($resource, $key)
)
"""


def rows(attributes: list[str], resources: list[str]) -> pa.Table:
    return pa.table({"attributes": attributes, "resource": pa.array(resources).dictionary_encode()})


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def without(value: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing to budgets, and something to reports: objects and empty text."""
    return {key: each for key, each in value.items() if not isinstance(each, dict) and each != ""}


@settings(max_examples=150, deadline=None)
@example([({"a": {"otel_cost.tag.region": None}, "otel_cost.tag.region": "0"}, {})])
@given(st.lists(st.tuples(OBJECTS, OBJECTS), min_size=1, max_size=6))
def test_values_are_those_of_reports(spans: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    found = attribute_column(
        rows(*([compact(each) for each in side] for side in zip(*spans, strict=True))), "attribute.region"
    )
    paths = {"key": '$."region"', "tag": '$."otel_cost.tag.region"'}
    with duckdb.connect() as connection:
        for (attributes, resource), value in zip(spans, found.to_pylist(), strict=True):
            said = {"attributes": compact(without(attributes)), "resource": compact(without(resource))}
            assert connection.execute(SQL, {**said, **paths}).fetchall() == [(value,)]


def test_a_mark_stands_for_the_value_of_its_column() -> None:
    """As segments hold owners: `customer` of the row is what the span said as `tenant.id`."""
    mark = MARKS["customer"]
    table = rows([f'{{"tenant.id":"{mark}"}}', '{"tenant.id":"other"}'], ["{}", "{}"])
    table = table.append_column("customer", pa.array(["acme", "globex"]).dictionary_encode())
    assert attribute_column(table, f"{ATTRIBUTE}tenant.id").to_pylist() == ["acme", "other"]


def test_what_is_too_long_lists_and_objects_name_nobody() -> None:
    said = ["x" * MAX_VALUE_BYTES, "x" * (MAX_VALUE_BYTES + 1), ["eu"], {"eu": 1}, 1.5]
    table = rows([compact({"region": value}) for value in said], ["{}"] * len(said))
    assert attribute_column(table, "attribute.region").to_pylist() == ["x" * MAX_VALUE_BYTES, None, None, None, "1.5"]
