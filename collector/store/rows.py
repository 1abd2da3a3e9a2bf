"""Arrow columns of the stages -> rows of the store's tables, and back to what attribution reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.decode.columns import (
    DICT_STRING,
    FILLED_TEXT_COLUMNS,
    FILLED_TOKEN_COLUMNS,
    LEDGER_SCHEMA,
    LEDGER_USAGE_COLUMNS,
    OWNER_COLUMNS,
    SKELETON_SCHEMA,
)
from otel_cost.call import Flag

MONEY = pa.decimal128(18, 12)
LARGEST_PICO_USD = 10**18 - 1
"""What `DECIMAL(18, 12)` can hold. One value beyond it would abort a whole transaction."""

_TIMES = {"start_time_ns": "start_time", "end_time_ns": "end_time"}
_MONEY = {"cost_pico_usd": "cost_usd", "reported_cost_pico_usd": "reported_cost_usd"}


NAME_OF_STORED = {**_TIMES, **_MONEY}
"""Columns of `LEDGER_SCHEMA` that have another name and type in a row."""


def _stored(field: pa.Field) -> pa.Field:
    if field.name in _TIMES:
        return pa.field(_TIMES[field.name], pa.timestamp("ns"), field.nullable)
    if field.name in _MONEY:
        return pa.field(_MONEY[field.name], MONEY, field.nullable)
    return field


ROW_SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),  # order of arrival, from 1
        *(_stored(field) for field in LEDGER_SCHEMA),
        # What the whole trace said of the span when the row was written; all NULL unless `call_kind` is set.
        pa.field("revision", pa.int64()),  # the batch that judged it
        pa.field("counted", pa.bool_()),
        pa.field("not_counted_reason", DICT_STRING),
        pa.field("duplicate_of", pa.string()),
        pa.field("attempt", pa.int32()),
        pa.field("retry_of", pa.string()),
        pa.field("wasted", pa.bool_()),
        pa.field("derived", pa.int32()),  # the bits of columns whose value attribution has supplied
    ]
)
"""Rows of the segments: one per span, for ever; later verdicts are amendments beside them.

The owners and what a second record of a call may fill in (`DERIVED_BITS`) are those of the verdict. A span's own value
always wins, so what the span itself says is: NULL where the bit of the column is set, else the value.
"""

DERIVED_BITS = {
    name: 1 << place for place, name in enumerate((*OWNER_COLUMNS, *FILLED_TEXT_COLUMNS, *FILLED_TOKEN_COLUMNS))
}
"""Column -> its bit in `derived`. Files hold these numbers: a new column gets the next bit, none is used again."""


NOT_KEPT = (
    "trace_state",
    "status_message",
    "scope_version",
    "events",
    "links",
    "dropped_attributes_count",
    "attributes",
    "resource",
)
"""What no verdict depends on: most of a row's bytes."""

RECENT_SCHEMA = pa.schema([field for field in ROW_SCHEMA if field.name not in NOT_KEPT])
"""What judging a trace again reads of its stored rows, and what is kept of them in memory."""


def money(pico_usd: pa.ChunkedArray) -> pa.Array:
    """int64 pico-USD as `DECIMAL(18, 12)` USD: the same integer, 128 bits wide; NULL where it does not fit."""
    values = pico_usd.combine_chunks() if isinstance(pico_usd, pa.ChunkedArray) else pico_usd
    if isinstance(values, pa.ChunkedArray):  # no chunks at all
        return pa.nulls(0, MONEY)
    integers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    absent = pc.is_null(values).to_numpy(zero_copy_only=False) | (np.abs(integers) > LARGEST_PICO_USD)
    absent |= integers == np.iinfo(np.int64).min
    wide = np.empty((len(integers), 2), dtype="<i8")
    wide[:, 0] = integers
    wide[:, 1] = integers >> 63
    validity = pa.py_buffer(np.packbits(~absent, bitorder="little").tobytes())
    return pa.Array.from_buffers(MONEY, len(integers), [validity, pa.py_buffer(wide)])


def pico_usd(usd: pa.ChunkedArray) -> pa.Array:
    """The inverse of `money`."""
    values = usd.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        return pa.nulls(0, pa.int64())
    valid = pc.is_valid(values).to_numpy(zero_copy_only=False)
    words = np.frombuffer(values.buffers()[1], dtype="<i8")[2 * values.offset :]
    return pa.array(words[: 2 * len(values) : 2].copy(), mask=~valid)


def span_rows(batch: pa.Table, first_seq: int) -> pa.Table:
    """`LEDGER_SCHEMA` -> the first columns of `ROW_SCHEMA`, without verdicts, numbered from `first_seq`."""
    columns: list[Any] = [pa.array(np.arange(first_seq, first_seq + batch.num_rows, dtype=np.int64))]
    names = ["seq"]
    for field in LEDGER_SCHEMA:
        column = batch.column(field.name)
        if field.name in _TIMES:
            column = column.cast(pa.timestamp("ns"))
        elif field.name in _MONEY:
            column = money(column)
        columns.append(column)
        names.append(_TIMES.get(field.name) or _MONEY.get(field.name) or field.name)
    return pa.Table.from_arrays(columns, names=names)


def own(rows: pa.Table) -> pa.Table:
    """Stored rows as their spans said it, without `derived`; rows that have no such column as they are."""
    if "derived" not in rows.column_names:
        return rows
    derived = pc.fill_null(rows.column("derived"), 0).to_numpy()
    some = int(np.bitwise_or.reduce(derived))
    columns = []
    for name in rows.column_names:
        column, bit = rows.column(name), DERIVED_BITS.get(name, 0)
        if some & bit:
            column = pc.if_else(pa.array((derived & bit) != 0), pa.scalar(None, column.type), column)
        columns.append(column)
    return pa.Table.from_arrays(columns, names=rows.column_names).drop_columns("derived")


def without_estimates(rows: pa.Table) -> pa.Table:
    """Rows without the tokens that were estimated for calls that report none: their spans do not say them, and calls
    are told apart by what spans say. `rows` has flags and the token columns."""
    marks = pa.scalar(int(Flag.USAGE_MISSING | Flag.ESTIMATED), pa.int64())
    estimated = pc.equal(pc.bit_wise_and(rows.column("flags"), marks), marks)
    if not pc.any(estimated).as_py():
        return rows
    for name in ("input_tokens", "output_tokens"):
        column = rows.column(name)
        said = pc.if_else(estimated, pa.scalar(None, column.type), column)
        rows = rows.set_column(rows.schema.get_field_index(name), name, said)
    return rows


def skeleton(spans: pa.Table) -> pa.Table:
    """Rows with the names of `ROW_SCHEMA` -> `SKELETON_SCHEMA`, texts as they are, plain or dictionary-encoded."""
    spans = without_estimates(own(spans))
    columns = []
    for field in SKELETON_SCHEMA:
        if field.name in _TIMES:
            column = spans.column(_TIMES[field.name]).cast(pa.int64())
        elif field.name in _MONEY:
            column = pico_usd(spans.column(_MONEY[field.name]))
        elif field.name == "has_usage":
            column = _has_usage(spans)
        else:
            column = spans.column(field.name)
            as_it_is = column.type == field.type or pa.types.is_dictionary(column.type)
            column = column if as_it_is else column.cast(field.type)
        columns.append(column)
    return pa.Table.from_arrays(columns, names=SKELETON_SCHEMA.names)


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The whole column as one array."""
    if column.num_chunks == 0:
        return pa.array([], column.type)
    return column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`, cast where they have another type, as when they were read from Parquet."""
    columns = [table.column(field.name) for field in schema]
    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def plain(spans: pa.Table) -> pa.Table:
    """The same rows with dictionary-encoded columns as plain strings, as Parquet gives them."""
    columns = [plain_column(column) for column in spans.columns]
    return pa.Table.from_arrays(columns, names=spans.column_names)


def plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A dictionary-encoded column as plain values; others as they are."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _has_usage(spans: pa.Table) -> pa.ChunkedArray:
    present = pc.is_valid(spans.column("usage_json"))
    for name in LEDGER_USAGE_COLUMNS:
        present = pc.or_(present, pc.is_valid(spans.column(name)))
    return present


def without_unstorable_money(batch: pa.Table) -> pa.Table:
    """A cost beyond `DECIMAL(18, 12)` becomes unpriced with a reason: never a wrong number, never a lost batch."""
    cost = pc.fill_null(batch.column("cost_pico_usd"), 0)
    extremes = pc.min_max(cost).as_py()
    if batch.num_rows == 0 or (extremes["min"] >= -LARGEST_PICO_USD and extremes["max"] <= LARGEST_PICO_USD):
        return batch
    fits = pc.and_(pc.greater_equal(cost, -LARGEST_PICO_USD), pc.less_equal(cost, LARGEST_PICO_USD))
    for name, text in (("cost_status", "unpriced"), ("cost_reason", "cost does not fit the ledger")):
        index = batch.schema.get_field_index(name)
        batch = batch.set_column(index, name, pc.if_else(fits, batch.column(name).cast(pa.string()), text))
    index = batch.schema.get_field_index("cost_pico_usd")
    return batch.set_column(index, "cost_pico_usd", pc.if_else(fits, batch.column("cost_pico_usd"), None))
