"""The ledger table: the stages' columns side by side, shared rather than copied, with names cut to size."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from collector.attribute import attribute
from collector.decode.columns import CALL_SCHEMA, COST_SCHEMA, LEDGER_SCHEMA, LEDGER_USAGE_COLUMNS, SpanBatch
from collector.ledger import ledger_table
from collector.limits import MAX_NAME_BYTES, TRUNCATION_MARK
from collector.normalise import normalise_columns
from collector.price import price_columns
from collector.store.rows import skeleton, span_rows
from otel_cost import attributes as k
from otel_cost.pricing import default_card
from tests.strategies import Span, batch_of, spans

CHAT: dict[str, object] = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_USAGE_INPUT_TOKENS: 5}
OURS = [name for name in (*CALL_SCHEMA.names, *COST_SCHEMA.names) if name != "flags"]


def ledger_of(batch: SpanBatch) -> pa.Table:
    """All stages over a batch."""
    calls = normalise_columns(batch)
    return ledger_table(batch, calls, price_columns(calls, batch.spans.column("start_time_ns"), default_card()))


@pytest.mark.parametrize("count", [0, 1, 500])
def test_the_ledger_has_its_schema_whatever_the_spans(count: int) -> None:
    """Also for no spans at all."""
    table = ledger_of(batch_of(list(spans(3, count))))
    table.validate(full=True)
    assert table.schema.equals(LEDGER_SCHEMA)
    assert table.num_rows == count


@pytest.mark.parametrize("count", [1, 500])
def test_codes_stay_within_their_dictionary_also_where_null(count: int) -> None:
    """Arrow reads the codes of NULL, too, when it merges dictionaries: one beyond its dictionary may crash."""
    table = ledger_of(batch_of(list(spans(7, count))))
    verdicts = attribute(skeleton(span_rows(table, 1)))
    encoded = [
        column for column in (*table.select(OURS).columns, *verdicts.columns) if pa.types.is_dictionary(column.type)
    ]
    assert len(encoded) > 20
    for column in encoded:
        codes = np.frombuffer(column.chunk(0).indices.buffers()[1], np.int32, count=len(column))
        assert codes.min() >= 0
        assert codes.max() < len(column.chunk(0).dictionary)


def test_each_column_is_the_stages_own() -> None:
    """No column of a stage changes on the way, except that pricing adds to the flags."""
    batch = batch_of(list(spans(11, 800)))
    calls = normalise_columns(batch)
    costs = price_columns(calls, batch.spans.column("start_time_ns"), default_card())
    table = ledger_table(batch, calls, costs)
    for stage in (batch.spans, calls.calls.drop_columns(["flags"]), costs):
        for name in set(stage.column_names) & set(LEDGER_SCHEMA.names):
            assert table.column(name).to_pylist() == stage.column(name).to_pylist(), name
    for name in LEDGER_USAGE_COLUMNS:
        expected = calls.usage[name].to_pylist() if name in calls.usage else [None] * 800
        assert table.column(name).to_pylist() == expected


def test_columns_are_shared_with_the_stages() -> None:
    """The memory of a group is that of its columns once, not once per stage."""
    batch = batch_of([Span(attributes=CHAT)] * 1000)
    calls = normalise_columns(batch)
    costs = price_columns(calls, batch.spans.column("start_time_ns"), default_card())
    table = ledger_table(batch, calls, costs)
    for stage, name in ((batch.spans, "trace_id"), (batch.spans, "events"), (calls.calls, "team"), (costs, "card")):
        ours, theirs = (found.column(name).chunk(0).buffers() for found in (table, stage))
        assert [part and part.address for part in ours] == [part and part.address for part in theirs]


def test_a_resource_is_stored_once_however_many_spans_have_it() -> None:
    """Spans name their resource by its number; equal resources of several requests are one."""
    batch = batch_of([Span(attributes=CHAT)] * 4)
    resources = pa.table({"attributes_json": ['{"a":1}', '{"b":2}', '{"a":1}', '{"c":"' + "x" * 5000 + '"}']})
    column = ledger_of(SpanBatch(batch.spans, batch.attributes, resources, batch.resource_attributes)).column(
        "resource"
    )
    assert column.to_pylist() == resources.column("attributes_json").to_pylist()
    assert len(column.chunk(0).dictionary) == 3


@pytest.mark.parametrize("key", [k.GEN_AI_REQUEST_MODEL, k.GEN_AI_RESPONSE_ID, k.TEAM])
def test_a_name_beyond_its_size_is_cut_and_says_so(key: str) -> None:
    """Only that name: its neighbours stay whole, and names that are long only together are left alone."""
    texts = ["short", "é" * MAX_NAME_BYTES, *(f"{number:0500d}" for number in range(5))]
    table = ledger_of(batch_of([Span(attributes=CHAT | {key: text}) for text in texts]))
    name = {k.GEN_AI_REQUEST_MODEL: "request_model", k.GEN_AI_RESPONSE_ID: "response_id", k.TEAM: "team"}[key]
    found = table.column(name).to_pylist()
    assert found[0] == "short"
    assert found[2:] == texts[2:]
    assert found[1].endswith(TRUNCATION_MARK)
    assert len(found[1].encode()) <= MAX_NAME_BYTES + len(TRUNCATION_MARK.encode())


def test_units_without_a_column_travel_together() -> None:
    """As JSON, NULL where a span has none of them."""
    made = [Span(attributes=CHAT), Span(attributes=CHAT | {k.OTEL_COST_USAGE_PREFIX + "rerank_searches": 3})]
    table = ledger_of(batch_of(made))
    found = table.column("usage_json").to_pylist()
    assert found[0] is None
    assert json.loads(found[1]) == {"rerank_searches": 3}
    assert table.column("input_tokens").to_pylist() == [5, 5]
