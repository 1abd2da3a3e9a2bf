"""Several decoded batches as one, and what a batch weighs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from collector.decode import arrays
from collector.decode.columns import ATTRIBUTE_SCHEMA, SPAN_SCHEMA, SpanBatch

_RESOURCE_SCHEMA = pa.schema([pa.field("attributes_json", pa.string())])


def empty_batch() -> SpanBatch:
    """A batch of nothing, with every schema right."""
    return SpanBatch(
        SPAN_SCHEMA.empty_table(),
        ATTRIBUTE_SCHEMA.empty_table(),
        _RESOURCE_SCHEMA.empty_table(),
        ATTRIBUTE_SCHEMA.empty_table(),
    )


def concat_batches(batches: Sequence[SpanBatch]) -> SpanBatch:
    """The spans of all batches in order, as if their requests had been decoded together.

    Rows that a row number points at keep being pointed at; each column has one chunk and each dictionary column one
    dictionary. A single batch is given back as it is.
    """
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return empty_batch()
    span_counts = [batch.spans.num_rows for batch in batches]
    resource_counts = [batch.resources.num_rows for batch in batches]
    spans = [batch.spans for batch in batches]
    attributes = [batch.attributes for batch in batches]
    resource_attributes = [batch.resource_attributes for batch in batches]
    return SpanBatch(
        spans=_joined(spans, "resource_index", resource_counts),
        attributes=_joined(attributes, "owner_index", span_counts),
        resources=pa.concat_tables([batch.resources for batch in batches]).combine_chunks(),
        resource_attributes=_joined(resource_attributes, "owner_index", resource_counts),
    )


def _joined(tables: Sequence[pa.Table], pointer: str, pointed_at: Iterable[int]) -> pa.Table:
    """One table; its int32 column `pointer` counts rows of another table, of which each part has `pointed_at`."""
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    if not table.num_rows:
        return table
    counts = np.fromiter(pointed_at, dtype=np.int32)
    before = np.repeat(np.cumsum(counts, dtype=np.int32) - counts, [part.num_rows for part in tables])
    position = table.schema.get_field_index(pointer)
    shifted = arrays.single(table.column(position)).to_numpy() + before
    return table.set_column(position, table.schema.field(position), pa.array(shifted))


def batch_bytes(batch: SpanBatch) -> int:
    """Memory that a batch holds, in bytes: its buffers, whole, also where only a part of one is used."""
    tables = (batch.spans, batch.attributes, batch.resources, batch.resource_attributes)
    return sum(int(table.get_total_buffer_size()) for table in tables)
