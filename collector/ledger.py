"""The columns of all stages side by side: what the store appends."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import LEDGER_SCHEMA, LEDGER_USAGE_COLUMNS, CallColumns, SpanBatch
from collector.decode.remainder import attributes_json
from collector.limits import MAX_NAME_BYTES, TRUNCATION_MARK


def ledger_table(batch: SpanBatch, calls: CallColumns, costs: pa.Table) -> pa.Table:
    """All stages' columns side by side, one row per span: LEDGER_SCHEMA."""
    spans = batch.spans
    columns: dict[str, pa.ChunkedArray | pa.Array] = {
        **{name: spans.column(name) for name in spans.column_names},
        **{name: _short(calls.calls.column(name)) for name in calls.calls.column_names},
        **{name: _short(costs.column(name)) for name in costs.column_names},
        "usage_json": _usage_json(calls, spans.num_rows),
        "attributes": attributes_json(batch.attributes, spans.num_rows),
        "resource": batch.resources.column("attributes_json").take(spans.column("resource_index")),
    }
    nulls = pa.nulls(spans.num_rows, pa.int64())
    for name in LEDGER_USAGE_COLUMNS:
        columns[name] = calls.usage.get(name, nulls)
    return pa.table([columns[field.name].cast(field.type) for field in LEDGER_SCHEMA], schema=LEDGER_SCHEMA)


def _short(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Names as they are, or cut at `MAX_NAME_BYTES` where one is longer; other types untouched."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind != pa.string() or column.nbytes <= MAX_NAME_BYTES:
        return column
    texts = [chunk.dictionary if pa.types.is_dictionary(column.type) else chunk for chunk in column.chunks]
    if all((pc.max(pc.binary_length(text)).as_py() or 0) <= MAX_NAME_BYTES for text in texts):
        return column
    plain = column.cast(pa.string())
    start = pc.utf8_slice_codeunits(plain, 0, MAX_NAME_BYTES // 4)  # a character takes 4 bytes at most
    return pc.if_else(
        pc.greater(pc.binary_length(plain), MAX_NAME_BYTES),
        pc.binary_join_element_wise(start, TRUNCATION_MARK, ""),
        plain,
    )


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
