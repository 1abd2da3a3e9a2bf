"""The scalar reader and the column reader say the same of every span: same tables, same results, compared with `==`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode.columns import OWNER_COLUMNS, RESOURCE_OWNER_COLUMNS, SpanBatch
from collector.normalise import normalise_columns
from otel_cost.normalise import own_dimensions, reader, resource_owners
from tests.otel_cost.normalise.samples import SAMPLES, sample_spans
from tests.strategies import Maker, Span, batch_of, normalised, spans

BATCH = 4_000
FIELDS = (
    *("dialect", "operation", "provider", "request_model", "response_model", "response_id", "service_tier"),
    *("reported_cost_pico_usd", "reported_by_provider", "failed"),
)


def scalar(span: Span) -> dict[str, Any]:
    """What the scalar reader says of a span, under the names of the columns."""
    call = normalised(span)
    owners = own_dimensions(span.attributes) if call is None else call.owners
    found: dict[str, Any] = {name: owners.get(name) for name in OWNER_COLUMNS}
    resource = resource_owners(span.resource)
    found |= {name: resource.get(name.removeprefix("resource_")) for name in RESOURCE_OWNER_COLUMNS}
    if call is None:
        return found | dict.fromkeys(FIELDS) | {"call_kind": None, "flags": 0, "usage": {}}
    found |= {name: getattr(call, name) for name in FIELDS}
    return found | {"call_kind": call.kind.value, "flags": int(call.flags), "usage": dict(call.usage)}


def columns(made: Sequence[Span]) -> list[dict[str, Any]]:
    """What the column reader says of spans, one dict each."""
    read = normalise_columns(batch_of(made))
    found: list[dict[str, Any]] = read.calls.to_pylist()
    usage = {unit: values.to_pylist() for unit, values in read.usage.items()}
    for index, row in enumerate(found):
        row["usage"] = {unit: values[index] for unit, values in usage.items() if values[index] is not None}
        if row["call_kind"] is None:  # these two have no NULL in columns
            row["reported_by_provider"] = row["failed"] = None
    return found


def assert_equal(made: Sequence[Span]) -> None:
    """Both readers agree on every span."""
    for span, row in zip(made, columns(made), strict=True):
        expected = scalar(span)
        assert row == expected, (span, {key: (row[key], expected[key]) for key in row if row[key] != expected[key]})


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_both_readers_agree_on_recorded_traces(path: Path) -> None:
    """Every span of every sample."""
    assert_equal([span for _, span in sample_spans(path)])


SEEDS = [*range(5), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(5, 25))]


@pytest.mark.parametrize("seed", SEEDS)
def test_both_readers_agree_on_spans_made_from_the_tables(seed: int) -> None:
    """20,000 spans, 100,000 with the soak: every dialect, both vocabularies at once, wrong types, impossible counts."""
    assert_equal(list(spans(seed, BATCH)))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1 << 32), max_size=4))
def test_both_readers_agree_on_small_batches(seeds: list[int]) -> None:
    """Batches of any size, none included; a failure shrinks to few spans."""
    assert_equal([Maker(seed).span() for seed in seeds])


def test_columns_may_come_in_chunks_and_slices() -> None:
    """Groups of requests are tables of several chunks, each with dictionaries of its own."""
    made = list(spans(7, 600))
    whole = normalise_columns(batch_of(made))
    parts = [batch_of(made[:250]), batch_of(made[250:])]
    starts = (0, 250)

    def joined(name: str, index: str) -> pa.Table:
        tables = []
        for part, start in zip(parts, starts, strict=True):
            table = getattr(part, name)
            place = table.schema.get_field_index(index)
            shifted = pc.add(table.column(index), pa.scalar(start, pa.int32()))
            tables.append(table.set_column(place, table.schema.field(place), shifted))
        padded = pa.concat_tables([tables[0].slice(0, 0), *tables])
        return pa.concat_tables([tables[0].slice(0, 1), padded]).slice(1)

    read = normalise_columns(
        SpanBatch(
            joined("spans", "resource_index"),
            joined("attributes", "owner_index"),
            pa.concat_tables([part.resources for part in parts]),
            joined("resource_attributes", "owner_index"),
        )
    )
    assert read.calls.to_pylist() == whole.calls.to_pylist()
    assert {unit: values.to_pylist() for unit, values in read.usage.items()} == {
        unit: values.to_pylist() for unit, values in whole.usage.items()
    }


def test_of_a_repeated_key_the_last_value_wins() -> None:
    """OTLP forbids repeats; a dict keeps the last one, and so do columns."""
    batch = batch_of([Span(attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1})])
    repeated = batch_of([Span(attributes={"gen_ai.usage.input_tokens": 9, "gen_ai.operation.name": "embeddings"})])
    rows = pa.concat_tables([batch.attributes, repeated.attributes])
    read = normalise_columns(SpanBatch(batch.spans, rows, batch.resources, batch.resource_attributes))
    assert read.calls.column("operation").to_pylist() == ["embeddings"]
    assert read.usage["input_tokens"].to_pylist() == [9]


def test_spans_of_one_shape_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of alike spans cost one reading: quantities, ids and owners make no new shape."""
    seen: list[tuple[Any, ...]] = []

    def counted(*arguments: Any) -> Any:
        seen.append(arguments)
        return reader.read(*arguments)

    monkeypatch.setattr("collector.normalise.shapes.read", counted)
    made = [
        Span(
            "x",
            f"chat {i}",
            3,
            0,
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.response.id": f"id{i}",
                "gen_ai.usage.input_tokens": i,
                "otel_cost.run": f"run{i}",
            },
        )
        for i in range(2000)
    ]
    assert_equal(made)
    assert len(seen) == 1


UNITS = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens", "total_tokens")


@pytest.mark.parametrize("present", range(1 << len(UNITS)))
def test_both_readers_agree_on_every_set_of_counts(present: int) -> None:
    """A batch of one span: no column of another span hides that a rule was skipped."""
    for value in (0, 7, 500):
        usage = {f"gen_ai.usage.{unit}": value + 100 * bit for bit, unit in enumerate(UNITS) if present >> bit & 1}
        assert_equal([Span("x", "chat", 3, 0, {"gen_ai.operation.name": "chat", **usage})])
