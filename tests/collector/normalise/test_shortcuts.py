"""What the column reader skips in the common case changes nothing: the long way finds the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from collector.decode.columns import SpanBatch
from collector.normalise import normalise_columns, parts, settle, shapes
from collector.normalise.fields import MAX_KEY_SETS, key_set
from collector.normalise.keys import KEY_IDS
from otel_cost import attributes as k
from tests.strategies import Maker, Span, batch_of, spans

CHAT: dict[str, object] = {k.GEN_AI_OPERATION_NAME: "chat", k.GEN_AI_REQUEST_MODEL: "gpt-4o"}


def rows_of(batch: SpanBatch) -> list[dict[str, Any]]:
    """The calls and their usage, one dict per span."""
    read = normalise_columns(batch)
    usage = {unit: column.to_pylist() for unit, column in sorted(read.usage.items())}
    found: list[dict[str, Any]] = read.calls.to_pylist()
    return [row | {unit: values[index] for unit, values in usage.items()} for index, row in enumerate(found)]


def plain_spans(seed: int, count: int) -> list[Span]:
    """Spans of one dialect whose counts are often, but not always, as they should be."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        attributes: dict[str, object] = dict(CHAT)
        for key, high in (
            (k.GEN_AI_USAGE_INPUT_TOKENS, 100),
            (k.GEN_AI_USAGE_OUTPUT_TOKENS, 50),
            (k.GEN_AI_USAGE_CACHE_READ, 60),
        ):
            if rng.random() < 0.8:
                attributes[key] = int(rng.integers(0, high))
        made.append(Span(attributes=attributes))
    return made


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("size", [1, 3, 40])
def test_counts_that_need_no_rule_are_those_that_the_rules_leave_alone(
    seed: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plausible counts skip the rules on what includes what; running the rules over them gives the same."""
    batches = [batch_of(plain_spans(seed, size)), batch_of(list(spans(seed, size)))]
    quick = [rows_of(batch) for batch in batches]
    monkeypatch.setattr(settle, "_is_plain", lambda usage, facts: False)
    assert [rows_of(batch) for batch in batches] == quick


@pytest.mark.parametrize("largest", [1, 2, 1 << 20])
def test_shapes_are_told_apart_however_many_digits_they_have(largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the digits of a span do not fit one number, they are numbered anew on the way."""
    batch = batch_of(list(spans(5, 1000)))
    wide = rows_of(batch)
    monkeypatch.setattr(shapes, "LARGEST_WORD", largest)
    assert rows_of(batch) == wide


@pytest.mark.parametrize(("cells", "at_a_time"), [(1, 1 << 13), (10_000, 1 << 13), (1 << 22, 3), (1 << 22, 90)])
def test_a_batch_that_says_too_much_is_read_in_parts(
    cells: int, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many keys, or of many shapes: memory stays bounded, and the parts joined say what the whole says."""
    batch = batch_of(list(spans(9, 130)))
    whole = rows_of(batch)
    monkeypatch.setattr(parts, "MAX_CELLS", cells)
    monkeypatch.setattr("collector.normalise.MAX_SHAPES", at_a_time)
    assert rows_of(batch) == whole
    calls = normalise_columns(batch).calls
    assert [column.num_chunks for column in calls.columns] == [1] * calls.num_columns


def test_a_batch_says_what_its_spans_say_alone() -> None:
    """Keys, dictionaries and shapes of a batch's other spans have no say in what a span is."""
    made = [Maker(seed).span() for seed in range(100)]
    together = rows_of(batch_of(made))
    for span, row in zip(made, together, strict=True):
        (alone,) = rows_of(batch_of([span]))
        assert {name: value for name, value in row.items() if value is not None} == {
            name: value for name, value in alone.items() if value is not None
        }


def test_of_a_repeated_json_attribute_the_last_one_counts() -> None:
    """Also for numbers that only the first one holds: a dict would not know them."""
    first = batch_of([Span(attributes=CHAT | {k.MLFLOW_TOKEN_USAGE: '{"input_tokens": 9, "output_tokens": 4}'})])
    last = batch_of([Span(attributes=CHAT | {k.MLFLOW_TOKEN_USAGE: '{"input_tokens": 7}'})])
    scope = pa.array(["mlflow"]).dictionary_encode()
    table = first.spans.set_column(first.spans.schema.get_field_index("scope_name"), "scope_name", scope)
    rows = pa.concat_tables([first.attributes, last.attributes])
    (found,) = rows_of(SpanBatch(table, rows, first.resources, first.resource_attributes))
    (alone,) = rows_of(SpanBatch(table, last.attributes, first.resources, first.resource_attributes))
    assert found == alone


def test_sets_of_keys_are_kept_within_bounds() -> None:
    """A sender who invents key sets does not grow the collector."""
    for number in range(MAX_KEY_SETS + 50):
        key_set(frozenset({number % len(KEY_IDS), (7 * number + 1) % len(KEY_IDS)}))
    assert key_set.cache_info().currsize <= MAX_KEY_SETS
