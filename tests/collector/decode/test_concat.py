"""Batches joined against the same requests decoded together."""

from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa
import pytest

from collector.decode import Request, decode_requests
from collector.decode.columns import ATTRIBUTE_SCHEMA, SPAN_SCHEMA, SpanBatch
from collector.decode.concat import batch_bytes, concat_batches, empty_batch
from tests.collector.decode.reference import actual, random_request


def _tables(batch: SpanBatch) -> tuple[pa.Table, ...]:
    return batch.spans, batch.attributes, batch.resources, batch.resource_attributes


def _requests(seed: int, count: int) -> list[Request]:
    rng = random.Random(seed)
    return [Request(random_request(rng).SerializeToString(), f"org {index % 3}") for index in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_batches_joined_are_what_their_requests_decode_to_together(seed: int) -> None:
    """Row by row, with groups of any size, empty ones included; organisation and service with their spans."""
    requests = _requests(seed, 24)
    cuts = [0, 0, 1, 2, 9, 9, 23, 24]
    groups = [requests[start:stop] for start, stop in pairwise(cuts)]
    joined = concat_batches([decode_requests(group).batch for group in groups])
    whole = decode_requests(requests).batch
    for ours, wanted in zip(_tables(joined), _tables(whole), strict=True):
        assert repr(ours.to_pylist()) == repr(wanted.to_pylist())  # by text: NaN is like no other
        assert ours.schema == wanted.schema
        ours.validate(full=True)
    assert actual(joined) == actual(whole)


def test_columns_have_one_chunk_and_dictionaries_no_value_twice() -> None:
    """Stages that read codes rely on both."""
    joined = concat_batches([decode_requests([request]).batch for request in _requests(7, 30)])
    for table in _tables(joined):
        for name, column in zip(table.column_names, table.columns, strict=True):
            assert column.num_chunks == 1, name
            if pa.types.is_dictionary(column.type):
                texts = column.chunk(0).dictionary.to_pylist()
                assert len(texts) == len(set(texts)), name


def test_one_batch_is_given_back_as_it_is() -> None:
    """Nothing is copied."""
    batch = decode_requests(_requests(1, 3)).batch
    assert concat_batches([batch]) is batch


@pytest.mark.parametrize("count", [0, 2])
def test_nothing_joined_is_an_empty_batch(count: int) -> None:
    """Its schemas are right, and it can be joined again."""
    joined = concat_batches([empty_batch()] * count)
    assert joined.spans.schema == SPAN_SCHEMA
    assert joined.attributes.schema == ATTRIBUTE_SCHEMA
    assert [len(table) for table in _tables(joined)] == [0, 0, 0, 0]
    batch = decode_requests(_requests(2, 4)).batch
    assert actual(concat_batches([joined, batch])) == actual(batch)


def test_weight_grows_with_what_is_held() -> None:
    """Text counts with its length, and a part of a batch as all that it keeps alive."""
    requests = _requests(3, 10)
    small, large = decode_requests(requests[:1]).batch, decode_requests(requests).batch
    assert 0 < batch_bytes(small) < batch_bytes(large)
    texts = sum(len(text or "") for text in large.attributes.column("string_value").to_pylist())
    assert batch_bytes(large) > texts
    part = SpanBatch(large.spans.slice(1), large.attributes, large.resources, large.resource_attributes)
    assert batch_bytes(part) == batch_bytes(large)
