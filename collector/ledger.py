"""The columns of all stages side by side: what the store appends."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import (
    CALL_SCHEMA,
    COST_SCHEMA,
    DICT_STRING,
    LEDGER_SCHEMA,
    LEDGER_USAGE_COLUMNS,
    MARKS,
    WITHOUT_LEASES,
    CallColumns,
    SpanBatch,
)
from collector.decode.remainder import Marked, attributes_json
from collector.limits import MAX_NAME_BYTES, TRUNCATION_MARK
from otel_cost.attributes import OTEL_COST_LEASE

_NAMES = tuple(
    field.name for field in (*CALL_SCHEMA, *COST_SCHEMA) if field.type == DICT_STRING or field.type == pa.string()
)


def ledger_table(batch: SpanBatch, calls: CallColumns, costs: pa.Table) -> pa.Table:
    """All stages' columns side by side, one row per span: LEDGER_SCHEMA. Columns are shared with the stages' tables."""
    spans = batch.spans
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for table in (spans, calls.calls, costs):
        columns.update(zip(table.column_names, table.columns, strict=True))
    cut = set()
    for name in _NAMES:
        shortened = _short(columns[name])
        if shortened is not columns[name]:
            columns[name] = shortened
            cut.add(name)
    columns["usage_json"] = _usage_json(calls, spans.num_rows)
    columns["attributes"] = attributes_json(batch.attributes, spans.num_rows, _marked(calls, cut))
    columns["resource"] = _resource(batch)
    nulls = pa.nulls(spans.num_rows, pa.int64())
    for name in LEDGER_USAGE_COLUMNS:
        columns[name] = calls.usage.get(name, nulls)
    ordered = [columns[name] for name in LEDGER_SCHEMA.names]
    table = pa.Table.from_arrays(
        [
            column if column.type == kind else column.cast(kind)
            for column, kind in zip(ordered, LEDGER_SCHEMA.types, strict=True)
        ],
        schema=LEDGER_SCHEMA,
    )
    return table if _has_key(batch.attributes, OTEL_COST_LEASE) else table.replace_schema_metadata({WITHOUT_LEASES: ""})


def _has_key(attributes: pa.Table, key: str) -> bool:
    """Whether an attribute may have this key; False is certain."""
    return any(key in chunk.dictionary.to_pylist() for chunk in attributes.column("key").chunks)


def _marked(calls: CallColumns, cut: Set[str]) -> list[Marked]:
    """The attributes whose value stands in a column; none of columns where a value was cut."""
    return [Marked(rows[rows >= 0], MARKS[name]) for name, rows in calls.sources.items() if name not in cut]


def _resource(batch: SpanBatch) -> pa.Array:
    """Each span's resource as JSON. A text is never copied per span: spans name it by its number."""
    texts = batch.resources.column("attributes_json").combine_chunks().dictionary_encode()
    index = batch.spans.column("resource_index").combine_chunks()
    return pa.DictionaryArray.from_arrays(texts.indices.take(index), texts.dictionary)


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names as they are, or cut at `MAX_NAME_BYTES` where one is longer."""
    encoded = pa.types.is_dictionary(column.type)
    if all(_longest_bytes(chunk.dictionary if encoded else chunk) <= MAX_NAME_BYTES for chunk in column.chunks):
        return column
    plain = column.cast(pa.string())
    start = pc.utf8_slice_codeunits(plain, 0, MAX_NAME_BYTES // 4)  # a character takes 4 bytes at most
    return pc.if_else(
        pc.greater(pc.binary_length(plain), MAX_NAME_BYTES),
        pc.binary_join_element_wise(start, TRUNCATION_MARK, ""),
        plain,
    )


def _longest_bytes(texts: pa.StringArray) -> int:
    """The size of the longest text, or of all together where that is short enough."""
    _, ends, _ = texts.buffers()
    if not len(texts) or ends is None:
        return 0
    offsets = np.frombuffer(ends, np.int32, count=texts.offset + len(texts) + 1)[texts.offset :]
    together = int(offsets[-1]) - int(offsets[0])
    return together if together <= MAX_NAME_BYTES else int(np.diff(offsets).max())


def _usage_json(calls: CallColumns, row_count: int) -> pa.Array:
    """`{"unit":quantity}` of the units without a column of their own; NULL where a span has none."""
    pairs = []
    for unit in sorted(set(calls.usage) - set(LEDGER_USAGE_COLUMNS)):
        quantities = calls.usage[unit].combine_chunks().cast(pa.string())
        pairs.append(pc.coalesce(pc.binary_join_element_wise(f',"{unit}":', quantities, ""), ""))
    if not pairs:
        return pa.nulls(row_count, pa.string())
    body = pc.utf8_slice_codeunits(pc.binary_join_element_wise(*pairs, ""), 1)
    objects = pc.binary_join_element_wise("{", body, "}", "")
    return pc.if_else(pc.equal(body, ""), pa.scalar(None, pa.string()), objects)
